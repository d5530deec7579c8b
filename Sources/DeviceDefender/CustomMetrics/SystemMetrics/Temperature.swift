extension SystemMetric.Kind {
  /// Reads `thermal_zone*/temp`, thousandths of a degree (Documentation/ABI/testing/sysfs-class-thermal).
  static let temperature = Self(
    "temperature", "hottest thermal zone, in degrees Celsius", unit: "C",
    .now { (files) throws(CollectionError) in
      let root = ProcRoot(files.thermalZones)
      var hottest: Int?
      for number in 0..<256 {
        // Some zones can't be read while they sleep; the others still count.
        let file = "thermal_zone\(number)/temp"
        guard let contents = try? root.firstBytes(of: file, count: 32) else { continue }
        let text = String(decoding: contents.prefix { $0 > 0x20 }, as: UTF8.self)
        guard let value = Int(text) else { continue }
        guard plausibleTemperatures.contains(value) else {
          let path = "\(files.thermalZones)/\(file)"
          files.warnOnce(
            path, "\(path) is \(value), which isn't a plausible temperature. The zone is ignored.")
          continue
        }
        hottest = max(hottest ?? value, value)
      }
      return hottest.map { (Double($0) / 100).rounded() / 10 }
    })
}

/// The plausible values of a sensor in thousandths of a degree: above absolute zero and below 1,000 degrees.
///
/// For a sensor that is off, the kernel reports THERMAL_TEMP_INVALID, -274,000 (include/linux/thermal.h), and
/// some drivers report INT_MAX, INT_MIN or other values.
private let plausibleTemperatures = -273_150..<1_000_000
