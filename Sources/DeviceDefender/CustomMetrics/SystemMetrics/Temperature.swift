extension SystemMetric.Kind {
  /// Reads `thermal_zone*/temp`, thousandths of a degree (Documentation/ABI/testing/sysfs-class-thermal).
  static let temperature = Self(
    "temperature", "hottest thermal zone, in degrees Celsius",
    .now { (files) throws(CollectionError) in
      let root = ProcRoot(files.thermalZones)
      var hottest: Int?
      for number in 0..<256 {
        // A zone that can't be read now, as some can't while they sleep, says nothing about the others.
        let file = "thermal_zone\(number)/temp"
        guard let contents = try? root.firstBytes(of: file, count: 32) else { continue }
        let text = String(decoding: contents.prefix { $0 > 0x20 }, as: UTF8.self)
        guard let value = Int(text) else { continue }
        guard plausibleTemperatures.contains(value) else {
          let path = "\(files.thermalZones)/\(file)"
          files.warnOnce(path, "\(path) is \(value), which is no temperature; the zone is left out")
          continue
        }
        hottest = max(hottest ?? value, value)
      }
      return hottest.map { (Double($0) / 100).rounded() / 10 }
    })
}

/// Thousandths of a degree that a sensor can measure: above absolute zero, and below 1,000 degrees.
///
/// The kernel's THERMAL_TEMP_INVALID is -274,000 (include/linux/thermal.h), and drivers have INT_MAX, INT_MIN and others
/// for a sensor that is off.
private let plausibleTemperatures = -273_150..<1_000_000
