/// A partition of AWS, which has its own domain names.
struct Partition {
  let suffix: String
  /// The suffix of dual-stack endpoints of AWS IoT; nil if the partition has none.
  let dualStackSuffix: String?

  /// The suffix of dual-stack endpoints of DynamoDB and SNS, which differs in the isolated partitions.
  var dualStackSuffixOfDatabases: String? {
    switch suffix {
    case "c2s.ic.gov": "api.aws.ic.gov"
    case "sc2s.sgov.gov": "api.aws.scloud"
    default: dualStackSuffix
    }
  }

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
