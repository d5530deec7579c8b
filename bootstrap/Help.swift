/// Returns the help that `arguments` ask for; nil if they ask for none.
///
/// Lambda container images pass the name of a handler as an argument, so unknown arguments aren't mistakes.
func helpText(for arguments: [String]) -> String? {
  switch arguments {
  case ["--help"], ["-h"], ["help"]: programHelp
  case ["agent", "--help"], ["agent", "-h"], ["help", "agent"]: agentHelp
  default: nil
  }
}

private let programHelp = """
  bootstrap: reports this machine's network metrics to AWS IoT Device Defender.
  Environment variables configure it; it takes no options.

  Usage:
    bootstrap agent         report on a schedule until SIGTERM, as a service does
    bootstrap               run as a Lambda function if AWS_LAMBDA_RUNTIME_API is
                            set, or as a Greengrass component if a nucleus
                            started it (SVCUID)
    bootstrap agent --help  list the variables of the agent
    bootstrap --version     print the versions of this program and its libraries

  Example:
    DEFENDER_MQTT_ENDPOINT=abc-ats.iot.eu-central-1.amazonaws.com \\
    AWS_IOT_THING_NAME=pump-7 DEFENDER_CERTIFICATE_FILE=/etc/pump-7.pem \\
    DEFENDER_PRIVATE_KEY_FILE=/etc/pump-7.key bootstrap agent

  Exit status: 0 a signal stopped it; 1 it couldn't start.
  """

private let agentHelp = """
  bootstrap agent: reports this device to AWS IoT Device Defender until SIGTERM or
  SIGINT. It takes no options. An empty variable counts as not set. The command
  'defender agent ... --print-environment' converts options to these variables.

  Destination and identity:
    DEFENDER_MQTT_ENDPOINT            HOST or HOST:PORT; with wss:// a WebSocket
                                      that is signed with AWS credentials
    AWS_IOT_THING_NAME                the thing that the reports describe
    DEFENDER_THING_NAME               the same; overrides AWS_IOT_THING_NAME
    DEFENDER_CERTIFICATE_FILE         the device's certificate (PEM)
    DEFENDER_PRIVATE_KEY_FILE         its private key (PEM)
    DEFENDER_PRIVATE_KEY_PASSWORD_FILE   file with the key's password
    DEFENDER_CLIENT_ID                MQTT client id (default: THING-defender)
    DEFENDER_TOPIC                    topic, with {thing} and {format} (default:
                                      Device Defender's own)
    DEFENDER_TRANSPORT                mqtt or https (default: mqtt)
    AWS_REGION, AWS_DEFAULT_REGION    region to sign for, with wss:// and https
                                      (default: the one in the endpoint's name)
    AWS_ENDPOINT_URL_IOT_DATA_PLANE, AWS_ENDPOINT_URL   endpoint of https
    DEFENDER_ROLE_ALIAS, DEFENDER_CREDENTIALS_ENDPOINT  credentials from AWS IoT
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY            credentials
    AWS_CA_BUNDLE, SSL_CERT_FILE      authorities to trust (PEM)
    HTTPS_PROXY, NO_PROXY             proxy, and hosts to reach without it
    DEFENDER_ALLOW_PLAIN_HTTP         1: allow http:// to other machines

  Schedule and connection:
    SAMPLE_INTERVAL_SECONDS           seconds between reports (default: 300)
    DEFENDER_MINIMUM_INTERVAL_SECONDS raises shorter intervals (300)
    DEFENDER_JITTER                   0: don't wait for the thing's slot
    DEFENDER_CONNECTION               persistent or per-report (persistent)
    DEFENDER_KEEP_ALIVE_SECONDS       30 to 1200 (default: interval plus 60)
    DEFENDER_MQTT_VERSION             5 or 3 (default: 5, then 3 if refused)
    DEFENDER_COMMAND_TOPIC            topic of commands to report now (none)
    DEFENDER_ACKNOWLEDGE              publish or accepted (default: publish)
    DEFENDER_CONFIRMATION_SECONDS     wait for answers, 0 to 300 s (default: 10)
    DEFENDER_STATE_DIRECTORY          keeps deltas and ids over a restart
    DEFENDER_SPOOL_BYTES              keeps unsent reports there (default: 0)

  Reports and log:
    DEFENDER_FORMAT                   json or cbor (default: json)
    DEFENDER_NAMES                    long or short (default: long)
    DEFENDER_MAX_LIST_SIZE            the most entries of a list (default: 50)
    DEFENDER_MAX_REPORT_BYTES         512 to 131072 (default: 131072)
    DEFENDER_CUSTOM_METRICS           such as cpu_usage,memory_usage
    DEFENDER_CUSTOM_METRICS_COMMAND   program that writes more of them
    DEFENDER_SECURITY_PROFILES        profiles to evaluate: paths, or their JSON
    DEFENDER_VIOLATIONS_TOPIC         topic of violation events (default:
                                      defender/{thing}/violations)
    DEFENDER_VIOLATION_COMMAND        program that runs for each such event
    PROCFS_PATH                       procfs to read (default: /proc)
    AWS_LAMBDA_LOG_LEVEL              TRACE, DEBUG, INFO, WARN, ERROR or FATAL
    AWS_LAMBDA_LOG_FORMAT             Text or JSON (default: Text)

  Example, with these lines in /etc/device-defender/agent.env:
    set -a; . /etc/device-defender/agent.env; exec bootstrap agent

  Signals: SIGTERM and SIGINT stop it. After SIGHUP, the next report opens a new
  connection with the certificate and key read again.
  Exit status: 0 a signal stopped it; 1 it couldn't start.
  """
