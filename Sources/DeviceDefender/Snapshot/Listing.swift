/// The number of elements of a list, and all of them or a uniform random sample.
package struct Listing<Element: Equatable & Sendable>: Equatable, Sendable {
  package var total: Int
  package var sample: [Element]

  package init(total: Int, sample: [Element]) {
    self.total = total
    self.sample = sample
  }
}
