import Detection

/// The page of `defender detect report`: one HTML document that contains no script and loads nothing.
///
/// The page shows the fleet first, then the worst things in detail, then all things in one row each. Limits of bytes for each part keep
/// the document below 1 MB for any number of things; the page states what it leaves out.
package struct DetectionPage {
  /// The largest number of things shown in detail, and the largest number of bytes for all of them together.
  private static let maximumCards = 12
  private static let cardBytes = 420_000
  /// The number of things shown in detail if there are no alarms.
  private static let healthyCards = 3

  let history: FleetHistory
  /// The things, the worst first.
  let ranking: [ThingHistory]
  let scale: TimeScale
  private var chartCount = 0

  /// Returns the page about a history whose input has ended.
  package static func html(_ history: FleetHistory) -> [UInt8] {
    var page = DetectionPage(history)
    return page.document().bytes
  }

  private init(_ history: FleetHistory) {
    self.history = history
    ranking = history.things.sorted { $0.isWorse(than: $1) }
    scale = TimeScale(axis: history.axis)
  }

  private mutating func document() -> HTML {
    var body = header() + summary()
    var cards = HTML()
    if history.period != nil {
      body += alarmSection()
      let (number, html) = details()
      cards = html
      body += worstSection(cards: number, html) + listSection() + thingSection(cards: number)
    } else if !ranking.isEmpty {
      body += thingSection(cards: 0)
    }
    body += aboutSection(hasCards: !cards.bytes.isEmpty)
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="\(Stylesheet.policy)">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta name="referrer" content="no-referrer">
      <title>Detection report: \(activeSentence)</title>
      <style>\(Stylesheet.html)</style>
      </head>
      <body>
      <a class="skip" href="#main">Skip to the content</a>
      <svg width="0" height="0" aria-hidden="true" focusable="false"><defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" \
      patternTransform="rotate(45)"><rect class="hatch-ground" width="5" height="5"/><rect class="hatch-line" width="2.5" height="5"/></pattern></defs></svg>
      \(body)
      </body>
      </html>

      """
  }

  private var activeThings: Int { ranking.count { $0.activeAlarms > 0 } }

  private var activeSentence: String {
    "\(grouped(activeThings)) of \(counted(ranking.count, "thing")) in alarm"
  }

  private func header() -> HTML {
    let names = history.profileNames.joined(separator: ", ")
    var period: HTML = "No report with a time."
    if let times = history.period {
      period = "\(time(times.lowerBound)) to \(time(times.upperBound)), all times in UTC"
    }
    let links: [(HTML, HTML)] =
      history.period == nil
      ? [("about", "About this page")]
      : [
        ("alarms", "Alarms over time"), ("worst", "Worst things"), ("lists", "Ports and destinations"),
        ("things", "All things"), ("about", "About this page"),
      ]
    return """
      <header><p class="kicker">Detection report</p><h1>\(activeSentence)</h1>
      <p class="lead">\(period). \(history.profileNames.count == 1 ? "Profile" : "Profiles"): <bdi>\(names)</bdi>.</p>
      <nav aria-label="Sections"><ul>\(links.map { "<li><a href=\"#\($0.0)\">\($0.1)</a></li>" as HTML }.joined())</ul></nav></header>
      <main id="main">

      """
  }

  private func summary() -> HTML {
    let alarms = ranking.reduce(0) { $0 + $1.alarmCount }
    let affected = ranking.count { $0.alarmCount > 0 }
    var tiles: [(HTML, String, String)] = [
      ("Still in alarm", grouped(activeThings), "of \(counted(ranking.count, "thing"))"),
      ("Alarms raised", grouped(alarms), "by \(counted(affected, "thing"))"),
      ("Reports evaluated", grouped(history.reports), "from \(counted(ranking.count, "thing"))"),
      ("Reports skipped", grouped(history.skippedReports), "malformed, truncated or of another version"),
      ("Reports ignored", grouped(history.ignoredReports), "late or repeated"),
    ]
    if !history.isComplete { tiles.append(("Input incomplete", "!", "not read to its end, see below")) }
    let items = tiles.map {
      "<div><dt>\($0.0)</dt><dd><b>\($0.1)</b> <span>\($0.2)</span></dd></div>" as HTML
    }
    return "<section aria-label=\"Summary\"><dl class=\"tiles\">\(items.joined())</dl></section>\n"
  }

  /// The cards of the worst things, as many as fit.
  private mutating func details() -> (number: Int, HTML) {
    let affected = ranking.count { $0.alarmCount > 0 }
    let wanted = min(max(affected, Self.healthyCards), Self.maximumCards, ranking.count)
    var html = HTML()
    for number in 0..<wanted {
      let next = card(ranking[number], number: number + 1)
      guard html.bytes.count + next.bytes.count <= Self.cardBytes else { return (number, html) }
      html += next
    }
    return (wanted, html)
  }

  private mutating func worstSection(cards: Int, _ html: HTML) -> HTML {
    let isAll = cards == ranking.count
    return """
      <section aria-labelledby="worst"><h2 id="worst">Worst things</h2>
      <p>Ranked by the number of behaviors in alarm at the end, then by the time in alarm, added over the behaviors, then by the \
      number of alarms, then by name. \(
        isAll ? "All things are" : "The first \(counted(cards, "thing")) of \(grouped(ranking.count)) \(cards == 1 ? "is" : "are")") shown in detail.</p>
      <p class="legend"><span><i class="key value"></i>value</span><span><i class="key over"></i>beyond the threshold</span>\
      <span><i class="key bound"></i>threshold</span><span><i class="key alarm"></i>in alarm</span>\
      <span><i class="key out"></i>hatched: not in the profile</span></p>
      \(html)</section>

      """
  }

  /// A figure: a chart with its title, its description for screen readers, and its values as a table.
  mutating func figure(
    _ caption: HTML, title: String, description: String, kind: HTML = "lanes", height: Int, _ content: HTML,
    table: HTML
  ) -> HTML {
    chartCount += 1
    return """
      <figure class="\(kind)"><figcaption>\(caption)</figcaption>\
      <svg role="img" aria-labelledby="c\(chartCount)t c\(chartCount)d" width="100%" height="\(height)">\
      <title id="c\(chartCount)t">\(title)</title><desc id="c\(chartCount)d">\(description)</desc>\(content)</svg>\
      <details><summary>Table: <span>\(title)</span></summary><div class="table">\(table)</div></details></figure>

      """
  }

  /// A part of a chart with its own coordinates: a horizontal unit is a bucket, and a vertical unit is a pixel.
  func plot(y: Int, height: Int, _ content: HTML) -> HTML {
    """
    <svg x="0" y="\(y)" width="100%" height="\(height)" viewBox="0 0 \(scale.count) \(height)" preserveAspectRatio="none">\(content)</svg>
    """
  }

  /// Returns a table with a caption for screen readers.
  func table(_ caption: String, _ columns: [Column], _ rows: [HTML]) -> HTML {
    let heads = columns.map { column -> HTML in
      let kind: HTML = column.isText ? " class=\"text\"" : ""
      return "<th scope=\"col\"\(kind)>\(column.title)</th>"
    }.joined()
    return """
      <table><caption>\(caption)</caption><thead><tr>\(heads)</tr></thead><tbody>\(rows.joined())</tbody></table>
      """
  }

  /// A column of a table. Texts are aligned left; numbers and times are aligned right.
  struct Column {
    let title: String
    let isText: Bool

    static func number(_ title: String) -> Column { Column(title: title, isText: false) }
    static func text(_ title: String) -> Column { Column(title: title, isText: true) }
  }

  func time(_ seconds: UInt64) -> HTML {
    let stamp = Stamp(seconds)
    return "<time datetime=\"\(stamp.machine)\">\(stamp.date), \(stamp.clock)</time>"
  }

  /// A number that identifies the next chart within the page.
  var nextChart: Int { chartCount + 1 }
}
