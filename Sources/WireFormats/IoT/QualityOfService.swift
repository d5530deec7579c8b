/// How often a message is delivered (MQTT 3.1.1, section 4.3). AWS IoT doesn't offer "exactly once".
///
/// The raw value is what MQTT, the HTTPS publish (`qos=1`) and Greengrass IPC write.
package enum QualityOfService: UInt8, Sendable {
  case atMostOnce = 0
  case atLeastOnce = 1
}
