import Platform

/// A line of the screen, made of pieces of text with different emphasis.
struct StyledLine: Equatable {
  enum Style: Equatable {
    case plain, bold, dim

    /// The parameter of SGR (ECMA-48); nil for plain text.
    fileprivate var parameter: Int? {
      switch self {
      case .plain: nil
      case .bold: 1
      case .dim: 2
      }
    }
  }

  private struct Piece: Equatable {
    var text: String
    let style: Style
  }

  private var pieces: [Piece] = []
  /// The number of characters.
  private(set) var count = 0

  init() {}

  init(_ text: String, _ style: Style = .plain) { append(text, style) }

  /// The line without emphasis.
  var text: String { pieces.map(\.text).joined() }

  /// Appends text, with its control characters escaped.
  mutating func append(_ text: String, _ style: Style = .plain) {
    let shown = escapingControlCharacters(text)
    pieces.append(Piece(text: shown, style: style))
    count += shown.count
  }

  mutating func append(_ line: StyledLine) {
    pieces += line.pieces
    count += line.count
  }

  /// Appends blanks up to a column; a line that is longer stays as it is.
  mutating func pad(to column: Int) {
    guard count < column else { return }
    append(String(repeating: " ", count: column - count))
  }

  /// Returns the line cut to `width` characters. A line that is cut ends with `mark`.
  func cut(to width: Int, mark: String = "") -> StyledLine {
    guard count > width else { return self }
    var rest = max(width - mark.count, 0)
    var result = StyledLine()
    for piece in pieces where rest > 0 {
      let text = String(piece.text.prefix(rest))
      result.append(text, piece.style)
      rest -= text.count
    }
    result.append(String(mark.prefix(width)))
    return result
  }

  /// Returns the line for a terminal. It has escape sequences only if `isStyled` is true.
  func rendered(isStyled: Bool) -> String {
    guard isStyled else { return text }
    return pieces.map { piece in
      guard let parameter = piece.style.parameter, !piece.text.isEmpty else { return piece.text }
      return "\u{1B}[\(parameter)m\(piece.text)\u{1B}[0m"
    }.joined()
  }
}
