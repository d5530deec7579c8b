package import Detection
package import Platform

/// Keeps the states of the things, the history of their alarms, and profiles.
///
/// A read returns what was written before it. Nothing else protects the state: several processes may use a store at the same
/// time, and any of them may stop between two calls.
package protocol FleetStore: AnyObject {
  /// Returns the items with these keys; those that aren't stored are left out.
  func items(_ keys: [StateItem.Key], until deadline: BootTime) throws(StoreError) -> [StateItem]

  /// Writes an item with its version plus 1, if the stored one has its version. Returns false if it was changed meanwhile.
  func save(_ item: StateItem, until deadline: BootTime) throws(StoreError) -> Bool

  /// Writes several items as ``save(_:until:)`` does, in fewer requests. Returns which were written.
  func saveAll(_ items: [StateItem], until deadline: BootTime) throws(StoreError) -> [Bool]

  /// Adds events to the history. Adding the same event again changes nothing.
  func append(_ events: [HistoryEvent], until deadline: BootTime) throws(StoreError)

  /// Passes the items with an active alarm or an undelivered event to `visit`, in any order, some at a time. A store may pass them as
  /// they were a moment ago. Ends with the first error that `visit` throws.
  func visitItemsThatNeedAttention(until deadline: BootTime, _ visit: Visitor) throws(StoreError)

  /// Passes the items that were last seen within `times`, in milliseconds, and have no alarm about silence, as
  /// ``visitItemsThatNeedAttention(until:_:)`` does. A store may pass none if it doesn't watch for silence.
  func visitItems(seen times: Range<Int64>, until deadline: BootTime, _ visit: Visitor) throws(StoreError)

  /// Returns the events of a thing within a range of times in seconds, the oldest first.
  func events(
    of thing: String, _ times: ClosedRange<UInt64>, until deadline: BootTime
  ) throws(StoreError) -> [HistoryEvent]

  /// Adds values to the sketches of windows. If the answer is lost, the values may be counted twice.
  func add(_ sketches: [SketchKey: PercentileSketch], until deadline: BootTime) throws(StoreError)

  /// Returns the values of a window that were added before; an empty sketch if there are none.
  func sketch(_ key: SketchKey, until deadline: BootTime) throws(StoreError) -> PercentileSketch

  /// Returns the stored profiles in the order of their names. One that can't be read must not hide the others.
  func profiles(until deadline: BootTime) throws(StoreError) -> [Result<ProfileDocument, ProfileSourceError>]

  /// Writes a profile, and replaces the one of the same name.
  func save(_ profile: ProfileDocument, until deadline: BootTime) throws(StoreError)

  /// Handles some items of a store.
  typealias Visitor = ([StateItem]) throws(StoreError) -> Void
}

/// Why a store failed, as a sentence.
package struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Scope: Equatable, Sendable {
    /// The store fails for other items as well.
    case store
    /// The store rejects this item, such as one that is too large. Other items aren't affected.
    case item
    /// The deadline left no time.
    case time
  }

  package let description: String
  package let scope: Scope

  package init(_ description: String, _ scope: Scope = .store) {
    self.description = description
    self.scope = scope
  }
}

/// An event of the history.
package struct HistoryEvent: Equatable, Sendable {
  package let thing: String
  package let id: String
  package let type: String
  /// The time in seconds since the epoch.
  package let time: UInt64
  /// The event in the shape of AWS's `ViolationEvent`.
  package let json: [UInt8]

  package init(thing: String, id: String, type: String, time: UInt64, json: [UInt8]) {
    self.thing = thing
    self.id = id
    self.type = type
    self.time = time
    self.json = json
  }
}

/// The text of a profile and its name.
package struct ProfileDocument: Equatable, Sendable {
  package let name: String
  package let text: [UInt8]
  /// The place that has it, for messages: a path, or `the item 'x' of the table 'y'`.
  package let source: String

  package init(name: String, text: [UInt8], source: String? = nil) {
    self.name = name
    self.text = text
    self.source = source ?? "its text"
  }
}
