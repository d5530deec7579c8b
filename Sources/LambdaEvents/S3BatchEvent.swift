import WireFormats

/// A task of an Amazon S3 Batch Operations job.
public struct S3BatchEvent: LambdaEvent {
  /// What error messages call an event of S3 Batch Operations.
  public static let eventName = "a task of S3 Batch Operations"

  /// The event exactly as received.
  public let json: JSON
  /// The version of the event's format, `1.0` or `2.0` (`invocationSchemaVersion`). The response repeats it.
  public let schemaVersion: String
  /// The ID of this invocation (`invocationId`). The response repeats it.
  public let invocationID: String
  /// The tasks. S3 sends one at a time.
  public let tasks: [Task]

  /// Reads an event. Throws an error if `invocationSchemaVersion`, `invocationId` or `tasks` is missing, or if a task can't be read.
  public init(json: JSON) throws(EventError) {
    schemaVersion = try json.read("invocationSchemaVersion")
    invocationID = try json.read("invocationId")
    tasks = try json.read("tasks")
    self.json = json
  }

  /// The ID of the job.
  public var jobID: String? { json["job"]?["id"]?.string }
  /// The arguments that the job passes to the function; empty in schema version 1.0.
  public var userArguments: [String: String] { json["job"]?["userArguments"]?.texts ?? [:] }

  /// An object to process.
  public struct Task: JSONReadable, Sendable {
    /// The task exactly as received.
    public let json: JSON
    /// The ID of the task (`taskId`), with which an ``S3BatchEvent/Answer/Result`` refers to it.
    public let taskID: String
    /// The object's key. It is encoded as the job's manifest is.
    public let key: String

    /// Reads an element of `tasks`. Throws an error if `taskId` or `s3Key` is missing.
    public init(json: JSON) throws(EventError) {
      taskID = try json.read("taskId")
      key = try json.read("s3Key")
      self.json = json
    }

    /// The bucket's name; in schema version 1.0, the last part of its ARN.
    public var bucket: String? {
      json["s3Bucket"]?.string ?? json["s3BucketArn"]?.string?.split(separator: ":").last.map { String($0) }
    }
    /// The version of the object; nil if the manifest has none.
    public var versionID: String? { json["s3VersionId"]?.string }
  }

  /// How a task ended.
  public enum Outcome: Equatable, Sendable {
    /// The task is complete.
    case succeeded
    /// S3 tries the task again before the job ends.
    case temporaryFailure
    /// S3 doesn't try the task again. It counts as failed in the job.
    case permanentFailure

    var code: String {
      switch self {
      case .succeeded: "Succeeded"
      case .temporaryFailure: "TemporaryFailure"
      case .permanentFailure: "PermanentFailure"
      }
    }
  }

  /// The results of the tasks.
  public struct Answer: Equatable, Sendable {
    /// The result of a task.
    public struct Result: Equatable, Sendable {
      /// The ID of the task, from ``S3BatchEvent/Task/taskID``.
      public var taskID: String
      /// How the task ended (`resultCode`).
      public var outcome: Outcome
      /// A text for the job's report.
      public var message: String

      /// Creates the result of `task`. `message` is for the job's completion report.
      public init(_ task: Task, _ outcome: Outcome, message: String = "") {
        taskID = task.taskID
        self.outcome = outcome
        self.message = message
      }
    }

    /// One result for each task.
    public var results: [Result]
    /// How S3 treats tasks without a result.
    public var missing: Outcome

    /// Creates an answer.
    public init(_ results: [Result], missing: Outcome = .permanentFailure) {
      self.results = results
      self.missing = missing
    }
  }

  /// Returns the results in the format of S3 Batch Operations, with the schema version and the invocation ID of this event.
  public func response(with answer: Answer) -> Response {
    var document = JSONWriter()
    document.beginMap(count: 4)
    document.member("invocationSchemaVersion", schemaVersion)
    document.member("treatMissingKeysAs", answer.missing.code)
    document.member("invocationId", invocationID)
    document.key("results")
    document.beginList(count: answer.results.count)
    for result in answer.results {
      document.beginMap(count: 3)
      document.member("taskId", result.taskID)
      document.member("resultCode", result.outcome.code)
      document.member("resultString", result.message)
      document.endMap()
    }
    document.endList()
    document.endMap()
    return Response(json: document.bytes)
  }
}
