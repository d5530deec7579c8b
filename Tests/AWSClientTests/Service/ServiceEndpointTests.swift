import AWSClient
import Platform
import Testing
import WireFormats

struct `The endpoint` {
  @Test(
    arguments: [
      ("abc-ats.iot.eu-central-1.amazonaws.com", "eu-central-1"),
      ("ABC.IoT.us-east-1.amazonaws.com", "us-east-1"),
      ("data.ats.iot.cn-north-1.amazonaws.com.cn", "cn-north-1"),
      ("data.iot-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
      ("data-ats.iot.eu-west-1.api.aws", "eu-west-1"),
      ("data-ats.iot.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
      ("iot.eu-central-1.amazonaws.com", nil), ("abc.iot.cn-north-1.amazonaws.com", nil),
      ("abc.iot.eu-central-1.example.com", nil), ("abc.iot", nil), ("abc.iot.", nil),
      ("abc.iot..amazonaws.com", nil),
      ("localhost", nil), ("", nil), ("vpce-1.data.iot.eu-west-1.vpce.amazonaws.com", nil),
    ] as [(String, String?)])
  func `finds the region in the name of a host`(host: String, region: String?) {
    #expect(ServiceEndpoint.region(inHost: host) == region)
  }

  @Test(arguments: [
    ("", URLError(url: "", reason: "it doesn't begin with https:// or http://")),
    (
      "iot.example.com", URLError(url: "iot.example.com", reason: "it doesn't begin with https:// or http://")
    ),
    ("ftp://x", URLError(url: "ftp://x", reason: "it doesn't begin with https:// or http://")),
    ("https://", URLError(url: "https://", reason: "it has no host")),
    ("https:///a", URLError(url: "https:///a", reason: "it has no host")),
    (
      "https://a b/",
      URLError(url: "https://a b/", reason: "the host contains a blank or a control character")
    ),
    ("https://x:0", URLError(url: "https://x:0", reason: "the port isn't a number from 1 to 65535")),
    ("https://x:65536", URLError(url: "https://x:65536", reason: "the port isn't a number from 1 to 65535")),
    ("https://x:", URLError(url: "https://x:", reason: "the port isn't a number from 1 to 65535")),
    ("https://[::1", URLError(url: "https://[::1", reason: "the address has no closing bracket")),
    ("https://x/#a", URLError(url: "https://x/#a", reason: "it has a fragment")),
    ("https://me:secret@x/", URLError(url: "(not shown)", reason: "it has a user name")),
  ])
  func `is rejected with the variable's name if its URL is malformed`(url: String, reason: URLError) {
    #expect(throws: ServiceEndpointError.malformedURL(variable: "AWS_ENDPOINT_URL", reason)) {
      try ServiceEndpoint(url: url, namedBy: "AWS_ENDPOINT_URL")
    }
  }

  @Test(arguments: [
    ("HTTPS://A1B2-ATS.iot.us-west-2.amazonaws.com", "https://a1b2-ats.iot.us-west-2.amazonaws.com/t?qos=1"),
    ("https://x:443/", "https://x/t?qos=1"), ("http://x:80", "http://x/t?qos=1"),
    ("http://x:443", "http://x:443/t?qos=1"), ("https://x:8443", "https://x:8443/t?qos=1"),
    ("http://[::1]:80/base/", "http://[::1]/base/t?qos=1"),
    ("http://127.0.0.1:9/b", "http://127.0.0.1:9/b/t?qos=1"),
    ("https://[0:0:0:0:0:0:0:1]:9", "https://[::1]:9/t?qos=1"),
    ("https://[2001:DB8:0:0::0001]", "https://[2001:db8::1]/t?qos=1"),
    ("https://[::FFFF:7F00:1]", "https://[::ffff:127.0.0.1]/t?qos=1"),
  ])
  func `is written in the form that is signed`(url: String, expected: String) throws {
    #expect(try ServiceEndpoint(url: url).url("/t", query: "qos=1") == expected)
  }

  @Test(arguments: [
    ("us-east-1", "data-ats.iot.us-east-1.amazonaws.com", "data.iot-fips.us-east-1.amazonaws.com"),
    ("eu-west-1", "data-ats.iot.eu-west-1.amazonaws.com", "data-ats.iot-fips.eu-west-1.amazonaws.com"),
    (
      "cn-north-1", "data.ats.iot.cn-north-1.amazonaws.com.cn",
      "data-ats.iot-fips.cn-north-1.amazonaws.com.cn"
    ),
    (
      "cn-northwest-1", "data-ats.iot.cn-northwest-1.amazonaws.com.cn",
      "data-ats.iot-fips.cn-northwest-1.amazonaws.com.cn"
    ),
    (
      "us-gov-west-1", "data-ats.iot.us-gov-west-1.amazonaws.com", "data.iot-fips.us-gov-west-1.amazonaws.com"
    ),
    ("us-iso-east-1", "data-ats.iot.us-iso-east-1.c2s.ic.gov", "data-ats.iot-fips.us-iso-east-1.c2s.ic.gov"),
    (
      "us-isob-east-1", "data-ats.iot.us-isob-east-1.sc2s.sgov.gov",
      "data-ats.iot-fips.us-isob-east-1.sc2s.sgov.gov"
    ),
    (
      "eusc-de-east-1", "data-ats.iot.eusc-de-east-1.amazonaws.eu",
      "data-ats.iot-fips.eusc-de-east-1.amazonaws.eu"
    ),
  ])
  func `of a region is that of its partition`(region: String, host: String, fipsHost: String) throws {
    #expect(try ServiceEndpoint(Environment([:]), region: region).host == host)
    #expect(
      try ServiceEndpoint(Environment(["AWS_USE_FIPS_ENDPOINT": "true"]), region: region).host == fipsHost)
  }

  @Test(arguments: [
    ("us-east-1", "false", "data-ats.iot.us-east-1.api.aws"),
    ("us-east-1", "true", "data-ats.iot-fips.us-east-1.api.aws"),
    ("cn-north-1", "false", "data-ats.iot.cn-north-1.api.amazonwebservices.com.cn"),
    ("eusc-de-east-1", "false", "data-ats.iot.eusc-de-east-1.api.amazonwebservices.eu"),
  ])
  func `has a dual-stack form`(region: String, fips: String, host: String) throws {
    let environment = Environment(["AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_USE_FIPS_ENDPOINT": fips])
    #expect(try ServiceEndpoint(environment, region: region).host == host)
  }

  @Test(arguments: [
    (["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "http://a", "AWS_ENDPOINT_URL": "http://b"], "http://a"),
    (["AWS_ENDPOINT_URL_IOT_DATA_PLANE": "", "AWS_ENDPOINT_URL": "http://b"], "http://b"),
    (
      ["AWS_ENDPOINT_URL": "http://b", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"],
      "https://data-ats.iot.eu-west-1.amazonaws.com"
    ),
  ])
  func `is the one that the environment configures`(variables: [String: String], expected: String) throws {
    #expect(try ServiceEndpoint(Environment(variables), region: "eu-west-1").description == expected)
  }

  @Test(
    arguments: [
      ([:], nil, ServiceEndpointError.noRegion),
      ([:], "", .malformedRegion("")), ([:], "a.b", .malformedRegion("a.b")),
      ([:], "a/b", .malformedRegion("a/b")),
      ([:], "-a", .malformedRegion("-a")), ([:], "é", .malformedRegion("é")),
      (
        ["AWS_USE_FIPS_ENDPOINT": "1"], "eu-west-1",
        .malformedFlag(variable: "AWS_USE_FIPS_ENDPOINT", value: "1")
      ),
      (["AWS_ENDPOINT_URL": "http://x/?a"], "eu-west-1", .hasQuery(variable: "AWS_ENDPOINT_URL")),
    ] as [([String: String], String?, ServiceEndpointError)])
  func `is missing with a reason`(
    variables: [String: String], region: String?, expected: ServiceEndpointError
  ) {
    #expect(throws: expected) { try ServiceEndpoint(Environment(variables), region: region) }
  }
}
