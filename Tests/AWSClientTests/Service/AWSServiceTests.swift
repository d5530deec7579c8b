import AWSClient
import HTTPClient
import Platform
import Testing

struct `The endpoint of a service` {
  // The expected hosts are those that botocore 1.43 computes from its endpoint rules.
  @Test(arguments: [
    ("eu-west-1", "false", "false", "dynamodb.eu-west-1.amazonaws.com", "sns.eu-west-1.amazonaws.com"),
    (
      "eu-west-1", "true", "false", "dynamodb-fips.eu-west-1.amazonaws.com",
      "sns-fips.eu-west-1.amazonaws.com"
    ),
    ("eu-west-1", "false", "true", "dynamodb.eu-west-1.api.aws", "sns.eu-west-1.api.aws"),
    ("eu-west-1", "true", "true", "dynamodb-fips.eu-west-1.api.aws", "sns-fips.eu-west-1.api.aws"),
    (
      "us-gov-west-1", "true", "false", "dynamodb.us-gov-west-1.amazonaws.com",
      "sns.us-gov-west-1.amazonaws.com"
    ),
    (
      "cn-north-1", "false", "false", "dynamodb.cn-north-1.amazonaws.com.cn",
      "sns.cn-north-1.amazonaws.com.cn"
    ),
    (
      "cn-north-1", "false", "true", "dynamodb.cn-north-1.api.amazonwebservices.com.cn",
      "sns.cn-north-1.api.amazonwebservices.com.cn"
    ),
  ])
  func `is that of its region and partition`(
    region: String, fips: String, dualStack: String, dynamoDB: String, sns: String
  ) throws {
    let environment = Environment(["AWS_USE_FIPS_ENDPOINT": fips, "AWS_USE_DUALSTACK_ENDPOINT": dualStack])
    #expect(try ServiceEndpoint(environment, region: region, service: .dynamoDB).host == dynamoDB)
    #expect(try ServiceEndpoint(environment, region: region, service: .sns).host == sns)
  }

  @Test func `is the one that the service's variable names`() throws {
    let environment = Environment([
      "AWS_ENDPOINT_URL_DYNAMODB": "http://a", "AWS_ENDPOINT_URL_SNS": "http://b",
      "AWS_ENDPOINT_URL": "http://c",
    ])
    #expect(try ServiceEndpoint(environment, region: "r", service: .dynamoDB).description == "http://a")
    #expect(try ServiceEndpoint(environment, region: "r", service: .sns).description == "http://b")
    #expect(try ServiceEndpoint(environment, region: "r").description == "http://c")
  }
}

struct `An error of the query protocol` {
  @Test func `has the code and the message of its XML`() {
    let body = """
      <ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error>
      <RequestId>r</RequestId></ErrorResponse>
      """
    let error = ServiceError(HTTPResponse(status: 404, body: Array(body.utf8)))
    #expect(error.code == "NotFound")
    #expect(error.message == "Topic does not exist")
  }
}
