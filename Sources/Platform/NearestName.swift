/// Returns the one of `names` that a person probably meant by `word`; nil if none is similar.
///
/// That is the name that `word` begins, or the nearest by Levenshtein distance: at most a third of the letters of `word`
/// inserted, deleted or replaced, and one in a short word.
package func nearestName(to word: some StringProtocol, among names: [String]) -> String? {
  let letters = Array(word.unicodeScalars)
  if letters.count > 1, let longer = names.first(where: { $0.hasPrefix(word) }) { return longer }
  let distances = names.map { (name: $0, distance: editDistance(letters, Array($0.unicodeScalars))) }
  guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
  return nearest.distance <= max(1, letters.count / 3) ? nearest.name : nil
}

/// The Levenshtein distance of two words, computed one row of its table at a time.
private func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
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
