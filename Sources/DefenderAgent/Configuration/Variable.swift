import Platform

/// The environment variables that the agent reads, in the order of the files that read them.
///
/// This is the only list of the product's own variables, those that begin with `DEFENDER_`.
package enum Variable: String, CaseIterable, Sendable {
  // ThingAndTopicVariables.swift
  case thingName = "DEFENDER_THING_NAME"
  case awsThingName = "AWS_IOT_THING_NAME"
  case topic = "DEFENDER_TOPIC"
  // ScheduleVariables.swift
  case interval = "SAMPLE_INTERVAL_SECONDS"
  case minimumInterval = "DEFENDER_MINIMUM_INTERVAL_SECONDS"
  case jitter = "DEFENDER_JITTER"
  // ReportVariables.swift
  case format = "DEFENDER_FORMAT"
  case names = "DEFENDER_NAMES"
  case maximumListSize = "DEFENDER_MAX_LIST_SIZE"
  case maximumReportBytes = "DEFENDER_MAX_REPORT_BYTES"
  // CollectionVariables.swift
  case procfs = "PROCFS_PATH"
  case customMetrics = "DEFENDER_CUSTOM_METRICS"
  case customMetricsCommand = "DEFENDER_CUSTOM_METRICS_COMMAND"
  // DetectionVariables.swift
  case securityProfiles = "DEFENDER_SECURITY_PROFILES"
  case violationsTopic = "DEFENDER_VIOLATIONS_TOPIC"
  case violationCommand = "DEFENDER_VIOLATION_COMMAND"
  // CommandVariables.swift
  case commandTopic = "DEFENDER_COMMAND_TOPIC"
  // StateVariables.swift
  case stateDirectory = "DEFENDER_STATE_DIRECTORY"
  // SpoolVariables.swift
  case spoolBytes = "DEFENDER_SPOOL_BYTES"
  // AcknowledgementVariables.swift
  case acknowledge = "DEFENDER_ACKNOWLEDGE"
  case confirmationSeconds = "DEFENDER_CONFIRMATION_SECONDS"
  // AccessVariables.swift
  case region = "AWS_REGION"
  case defaultRegion = "AWS_DEFAULT_REGION"
  case accessKeyID = "AWS_ACCESS_KEY_ID"
  case secretAccessKey = "AWS_SECRET_ACCESS_KEY"
  case certificateAuthorities = "AWS_CA_BUNDLE"
  case systemCertificateAuthorities = "SSL_CERT_FILE"
  case allowPlainHTTP = "DEFENDER_ALLOW_PLAIN_HTTP"
  case certificateFile = "DEFENDER_CERTIFICATE_FILE"
  case privateKeyFile = "DEFENDER_PRIVATE_KEY_FILE"
  case privateKeyPasswordFile = "DEFENDER_PRIVATE_KEY_PASSWORD_FILE"
  case roleAlias = "DEFENDER_ROLE_ALIAS"
  case credentialsEndpoint = "DEFENDER_CREDENTIALS_ENDPOINT"
  // Transports
  case transport = "DEFENDER_TRANSPORT"
  case dataPlaneEndpoint = "AWS_ENDPOINT_URL_IOT_DATA_PLANE"
  case endpoint = "AWS_ENDPOINT_URL"
  case mqttEndpoint = "DEFENDER_MQTT_ENDPOINT"
  case clientID = "DEFENDER_CLIENT_ID"
  case keepAliveSeconds = "DEFENDER_KEEP_ALIVE_SECONDS"
  case connection = "DEFENDER_CONNECTION"
  case mqttVersion = "DEFENDER_MQTT_VERSION"
  case runtimeAPI = "AWS_LAMBDA_RUNTIME_API"
  case componentName = "DEFENDER_COMPONENT_NAME"
}

extension Environment {
  /// The value of `variable`; nil if it is unset or empty.
  func value(_ variable: Variable) -> String? { value(variable.rawValue) }

  /// The value of `first`, or that of `second` if the first is unset or empty.
  func value(_ first: Variable, _ second: Variable) -> String? { value(first) ?? value(second) }
}
