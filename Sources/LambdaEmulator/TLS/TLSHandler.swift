import COpenSSL
import NIOCore

/// Decrypts and encrypts the bytes of one connection with OpenSSL, between two buffers in memory.
@safe
final class TLSHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// The error of a write that OpenSSL rejects, because the connection has already ended.
  private struct ConnectionEnded: Error {}

  private let ssl: OpaquePointer
  /// The encrypted bytes from the client, and those to send to it. `ssl` owns both.
  private let received: OpaquePointer
  private let toSend: OpaquePointer

  init(_ tls: LoopbackTLS) throws(CertificateError) {
    let ssl = try unsafe tls.newConnection()
    guard let received = unsafe BIO_new(BIO_s_mem()), let toSend = unsafe BIO_new(BIO_s_mem()) else {
      unsafe SSL_free(ssl)
      throw CertificateError(step: "BIO_new")
    }
    unsafe SSL_set_bio(ssl, received, toSend)
    unsafe SSL_set_accept_state(ssl)
    unsafe self.ssl = ssl
    unsafe self.received = received
    unsafe self.toSend = toSend
  }

  deinit { unsafe SSL_free(ssl) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    unsafe unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
      _ = unsafe BIO_write(received, bytes.baseAddress, Int32(clamping: bytes.count))
    }
    var plain = [UInt8](repeating: 0, count: 16_384)
    while true {
      ERR_clear_error()
      // Performs the handshake, too.
      let count = unsafe SSL_read(ssl, &plain, Int32(plain.count))
      let reason = unsafe SSL_get_error(ssl, count)
      sendPending(context, nil)
      if count > 0 {
        context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: plain.prefix(Int(count)))))
        continue
      }
      context.flush()
      // Otherwise the client has ended the connection, doesn't use TLS or doesn't trust the certificate.
      if reason != SSL_ERROR_WANT_READ { context.close(promise: nil) }
      return
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let bytes = unwrapOutboundIn(data)
    if bytes.readableBytes > 0 {
      let count = unsafe bytes.withUnsafeReadableBytes { bytes in
        ERR_clear_error()
        return unsafe SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
      }
      // The buffer in memory takes everything.
      guard count == bytes.readableBytes else {
        promise?.fail(ConnectionEnded())
        return context.close(promise: nil)
      }
    }
    sendPending(context, promise)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    ERR_clear_error()
    // Sends close_notify, which distinguishes the end of the stream from an interruption.
    _ = unsafe SSL_shutdown(ssl)
    sendPending(context, nil)
    context.flush()
    context.close(mode: mode, promise: promise)
  }

  private func sendPending(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
    let count = unsafe BIO_ctrl_pending(toSend)
    guard count > 0 else {
      promise?.succeed()
      return
    }
    var bytes = [UInt8](repeating: 0, count: count)
    let read = unsafe BIO_read(toSend, &bytes, Int32(clamping: count))
    context.write(wrapOutboundOut(ByteBuffer(bytes: bytes.prefix(Int(max(0, read))))), promise: promise)
  }
}
