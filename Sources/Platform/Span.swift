/// Returns `12 days`, `3 h 20 min` or `45 s`.
package func span(_ duration: Duration) -> String {
  let seconds = duration.components.seconds
  switch seconds {
  case 172_800...: return "\(seconds / 86_400) days"
  case 3_600...: return "\(seconds / 3_600) h \(seconds / 60 % 60) min"
  case 60...: return "\(seconds / 60) min"
  default: return "\(seconds) s"
  }
}
