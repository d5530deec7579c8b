import WireFormats

/// Throws if AWS IoT would reject `payload` because of its size.
func checkSize(
  of payload: [UInt8], to topic: Topic, at endpoint: @autoclosure () -> String
) throws(PublishError) {
  let limit = AWSIoTQuotas.publishPayloadBytes
  guard payload.count > limit else { return }
  throw PublishError(
    .payloadTooLarge(bytes: payload.count, limit: limit), topic: topic, endpoint: endpoint(), attempts: 0)
}
