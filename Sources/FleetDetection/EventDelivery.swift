package import AWSClient
import HTTPClient
package import Platform
import WireFormats

/// Delivers events to those who want to know.
package protocol EventDelivery: AnyObject {
  /// Delivers an event to the targets that don't have it yet. May be called again with the same one.
  func deliver(_ entry: OutboxEntry, until deadline: BootTime) throws(DeliveryError)
}

/// Why an event couldn't be delivered, as a sentence.
package struct DeliveryError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String
  /// The targets that failed, and so may fail for other events; nil if that isn't known.
  package let failed: [String]?

  package init(_ description: String, failed: [String]? = nil) {
    self.description = description
    self.failed = failed
  }
}

/// Publishes events to SNS topics, and to a topic of AWS IoT.
package final class AWSEventDelivery: EventDelivery {
  private let sns: (_ region: String) throws -> SNSClient
  private var clients: [String: SNSClient] = [:]
  private let iot: IoTTopic?

  /// Publishes to a topic of AWS IoT. `template` has `{thing}` for the thing's name.
  package struct IoTTopic {
    let client: ServiceClient
    let endpoint: ServiceEndpoint
    let template: String

    package init(_ client: ServiceClient, _ endpoint: ServiceEndpoint, template: String) {
      self.client = client
      self.endpoint = endpoint
      self.template = template
    }
  }

  /// Creates a delivery; with a nil `iot`, only to SNS. `sns` creates the client for the topics of a region.
  package init(sns: @escaping (_ region: String) throws -> SNSClient, iot: IoTTopic?) {
    self.sns = sns
    self.iot = iot
  }

  package func deliver(_ entry: OutboxEntry, until deadline: BootTime) throws(DeliveryError) {
    guard let event = try? JSONValue(parsing: entry.event) else { return }
    let message = String(decoding: Self.message(event).json, as: UTF8.self)
    // A target that fails doesn't keep the event from the others.
    var (failed, reasons): ([String], [String]) = ([], [])
    for target in entry.targets {
      do {
        let client = try client(ofTopic: target)
        try client.publish(message, subject: Self.subject(event), topicARN: target, until: deadline)
      } catch {
        failed.append(target)
        reasons.append("\(error)")
      }
    }
    if !entry.isPublished {
      do throws(DeliveryError) {
        try publish(entry.event, thing: event["thingName"]?.string ?? "", until: deadline)
      } catch {
        failed.append(OutboxEntry.iotTarget)
        reasons.append("\(error)")
      }
    }
    if !failed.isEmpty { throw DeliveryError(reasons.joined(separator: " "), failed: failed) }
  }

  /// Returns the client for the region of a topic, which needn't be the function's.
  private func client(ofTopic target: String) throws -> SNSClient {
    guard let region = Self.region(ofTopic: target) else {
      throw DeliveryError(
        "The alert target '\(target)' isn't the ARN of an SNS topic. Correct the profile's alertTargetArn.")
    }
    if let client = clients[region] { return client }
    let client = try sns(region)
    clients[region] = client
    return client
  }

  /// Returns the region in `arn:aws:sns:REGION:ACCOUNT:NAME`; nil if the text has another form.
  static func region(ofTopic arn: String) -> String? {
    let parts = arn.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 6, parts[0] == "arn", parts[2] == "sns", parts.allSatisfy({ !$0.isEmpty }) else {
      return nil
    }
    return String(parts[3])
  }

  private func publish(_ event: [UInt8], thing: String, until deadline: BootTime) throws(DeliveryError) {
    guard let iot else { return }
    let levels = iot.template.split(separator: "/", omittingEmptySubsequences: false).map { level in
      level == "{thing}" ? thing : String(level)
    }
    let topic = levels.joined(separator: "/")
    let path = "/topics/\(percentEncoding(topic.utf8))"
    let request = HTTPRequest(method: "POST", url: iot.endpoint.url(path, query: "qos=1"), body: event)
    do throws(ServiceFailure) {
      _ = try iot.client.send(request, until: deadline)
    } catch {
      throw DeliveryError("Publishing to the AWS IoT topic '\(topic)' failed: \(error.reason).")
    }
  }

  /// Returns the event as Device Defender sends it to SNS: with its time in milliseconds.
  static func message(_ event: JSONValue) -> JSONValue {
    let members = (event.members ?? []).map { member in
      guard member.name == "violationEventTime", case .number(let seconds) = member.value else {
        return member
      }
      return JSONValue.Member(name: member.name, value: .number(seconds + "000"))
    }
    return .object(members)
  }

  /// Returns a subject of at most 100 ASCII characters, SNS's limit.
  private static func subject(_ event: JSONValue) -> String {
    let text =
      "\(event["violationEventType"]?.string ?? "event"): \(event["behavior"]?["name"]?.string ?? "") of "
      + (event["thingName"]?.string ?? "")
    return String(text.prefix(100))
  }
}
