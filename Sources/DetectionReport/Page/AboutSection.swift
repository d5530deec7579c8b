// The section "About this page": how the page was made, and what it leaves out.
extension DetectionPage {
  func aboutSection(hasCards: Bool) -> HTML {
    var facts: [HTML] = [
      """
      \(counted(history.reports, "report")) of \(counted(ranking.count, "thing")) evaluated, \(grouped(history.skippedReports)) skipped \
      because they couldn't be read, and \(grouped(history.ignoredReports)) ignored because their report_id isn't greater than that of an earlier report.
      """
    ]
    if history.reportsWithoutTime > 0 {
      facts.append(
        """
        \(counted(history.reportsWithoutTime, "report")) with a time before 2018: the clock of the device probably wasn't set. They were \
        evaluated, and the charts leave them out.
        """)
    }
    if history.reportsFromFuture > 0 {
      facts.append(
        """
        \(counted(history.reportsFromFuture, "report")) with a time more than a day in the future: the clock of the device is probably wrong. They were \
        evaluated, and the charts leave them out.
        """)
    }
    if history.lateReports > 0 {
      facts.append(
        """
        \(counted(history.lateReports, "report")) came after the window to which they belong was over, so statistical thresholds ignored them.
        """)
    }
    if history.period != nil {
      facts.append(
        """
        Time is divided into buckets of \(duration(history.axis.width)). A chart shows the highest value of a bucket, or the lowest one if \
        small values are violations, and a bar covers each bucket with some time in alarm. The tables of charts over time have one row for several buckets.
        """)
      facts.append(
        """
        For each thing and list, the times of at most \(grouped(ElementHistory<UInt16>.maximumElements)) ports or destinations are kept; those \
        absent for the longest time are dropped first. A report lists at most 50 entries by default.
        """)
    }
    facts.append(
      "The page contains no script and loads nothing. The same reports and profiles give the same page.")
    let reasons = history.reasons.map { "<li><bdi>\($0)</bdi></li>" as HTML }.joined()
    let skipped: HTML =
      history.reasons.isEmpty
      ? "" : "<h3>Input that wasn't read</h3><p>The first reasons:</p><ul class=\"reasons\">\(reasons)</ul>"
    return """
      <section aria-labelledby="about"><h2 id="about">About this page</h2>
      <ul>\(facts.map { "<li>\($0)</li>" as HTML }.joined())</ul>\(skipped)</section>
      </main>
      <footer><p>Written by <code>defender detect report</code>.</p></footer>
      """
  }
}

extension FleetHistory {
  /// The names of the profiles, in the order of the command line.
  var profileNames: [String] {
    rules.map(\.profile).reduce(into: []) { names, name in
      if names.last != name { names.append(name) }
    }
  }
}
