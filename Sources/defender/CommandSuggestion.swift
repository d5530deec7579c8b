/// Returns the command that a user who typed `word` probably meant; nil if none is similar.
///
/// This is a command that begins with `word`, or the one with the smallest edit distance, at most a third of
/// the word's length.
func suggestion(for word: String, among commands: [String]) -> String? {
  if word.count > 1, let longer = commands.first(where: { $0.hasPrefix(word) }) { return longer }
  let distances = commands.map { (command: $0, distance: editDistance(word, $0)) }
  guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
  return nearest.distance <= max(1, word.count / 3) ? nearest.command : nil
}

/// Returns the Levenshtein distance of two words, computed row by row.
private func editDistance(_ left: String, _ right: String) -> Int {
  let right = Array(right)
  var row = Array(0...right.count)
  for (index, letter) in left.enumerated() {
    var next = [index + 1]
    for (column, other) in right.enumerated() {
      let replaced = row[column] + (letter == other ? 0 : 1)
      next.append(min(replaced, row[column + 1] + 1, next[column] + 1))
    }
    row = next
  }
  return row[right.count]
}
