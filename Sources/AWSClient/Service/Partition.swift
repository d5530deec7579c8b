/// A partition of AWS, which has its own domain names.
struct Partition {
  let suffix: String
  /// The suffix of dual-stack endpoints; nil if the partition has none.
  let dualStackSuffix: String?

  init(ofRegion region: String) {
    (suffix, dualStackSuffix) =
      switch region {
      case _ where region.hasPrefix("cn-"): ("amazonaws.com.cn", "api.amazonwebservices.com.cn")
      case _ where region.hasPrefix("eusc-"): ("amazonaws.eu", "api.amazonwebservices.eu")
      case _ where region.hasPrefix("us-isob-"): ("sc2s.sgov.gov", "api.aws")
      case _ where region.hasPrefix("us-isof-"): ("csp.hci.ic.gov", nil)
      case _ where region.hasPrefix("eu-isoe-"): ("cloud.adc-e.uk", nil)
      case _ where region.hasPrefix("us-iso-"): ("c2s.ic.gov", "api.aws")
      default: ("amazonaws.com", "api.aws")
      }
  }
}
