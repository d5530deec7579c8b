/// Returns the one of `names` that the user probably meant by `word`; nil if none is similar.
///
/// This is a name that begins with `word`, or else the name with the smallest Levenshtein distance. That distance may be
/// at most a third of the length of `word`, or 1 for a short word.
package func nearestName(to word: some StringProtocol, among names: [String]) -> String? {
  let letters = Array(word.unicodeScalars)
  if letters.count > 1, let longer = names.first(where: { $0.hasPrefix(word) }) { return longer }
  let distances = names.map { (name: $0, distance: editDistance(letters, Array($0.unicodeScalars))) }
  guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
  return nearest.distance <= max(1, letters.count / 3) ? nearest.name : nil
}

/// Returns the Levenshtein distance of two words, computed one row of its table at a time.
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
