// The bars of a lane, which show during which buckets something was the case.
//
// All bars of a lane are one path. A lane can have half as many bars as there are buckets, and an element for each would make the page
// larger than 1 MB.
extension DetectionPage {
  func bars(_ buckets: BucketSet, _ kind: HTML, y: Int, height: Int) -> HTML {
    plot(y: y, height: height, "<path class=\"\(kind)\" d=\"\(outline(buckets, height: height))\"/>")
  }

  /// The bars of what isn't in the profile.
  ///
  /// The coordinates of ``plot(y:height:_:)`` would stretch the hatching. So a rectangle outside of them is hatched and clipped to the
  /// bars, and only the outline is drawn in them. It may extend beyond the plot by half of its width.
  func hatchedBars(_ buckets: BucketSet, y: Int, height: Int) -> HTML {
    let id: HTML = "\(nextChart)-\(y)"
    // ``HTML/decimal(_:)`` is too imprecise for a factor.
    let factors = "\(1 / Double(scale.count)) \(1 / Double(height))"
    return """
      <defs><path id="p\(id)" d="\(outline(buckets, height: height))"/><clipPath id="k\(id)" clipPathUnits="objectBoundingBox">\
      <use href="#p\(id)" transform="scale(\(factors))"/></clipPath></defs>\
      <rect class="out" x="0" y="\(y)" width="100%" height="\(height)" clip-path="url(#k\(id))"/>\
      <svg x="0" y="\(y)" width="100%" height="\(height)" viewBox="0 0 \(scale.count) \(height)" preserveAspectRatio="none" \
      overflow="visible"><use class="out" fill-opacity="0" href="#p\(id)"/></svg>
      """
  }

  private func outline(_ buckets: BucketSet, height: Int) -> HTML {
    buckets.runs.map { run -> HTML in
      "M\(run.lowerBound - scale.axis.buckets.lowerBound) 0h\(run.count)v\(height)h-\(run.count)z"
    }.joined()
  }
}
