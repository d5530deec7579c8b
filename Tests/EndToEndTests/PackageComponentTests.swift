import Glibc
import LambdaEmulator
import Platform
import TestSupport
import Testing

/// Tests that nobody else can choose what `lambda/greengrass/package-component` writes, and where.
@Suite(.ownThreads) struct `Packaging a component` {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Creates a zip with `bootstrap` and the entries that the lines of Python add to `archive`.
  private func makeZip(_ lines: String) async throws -> String {
    let path = "\(directory.path)/release.zip"
    let script = """
      import stat, sys, warnings, zipfile
      warnings.simplefilter("ignore")
      archive = zipfile.ZipFile(sys.argv[1], "w")
      archive.writestr("bootstrap", b"\\x7fELF\\x02\\x01\\x01" + bytes(11) + (62).to_bytes(2, "little") + bytes(44))
      \(lines)
      archive.close()
      """
    let run = try await BuiltProgram(path: "/usr/bin/env").run(
      ["python3", "-c", script, path], environment: environment)
    try #require(run.status == .code(0), "\(run.errorText)")
    return path
  }

  private var environment: [String: String] {
    ["PATH": Environment.ofThisProcess["PATH"] ?? "/usr/bin:/bin", "HOME": directory.path, "LANG": "C.UTF-8"]
  }

  private func package(
    _ zip: String, to output: String, version: [String] = ["--version", "1.2.3"]
  ) async throws -> BuiltProgram.Result {
    try await BuiltProgram(path: fixturePath("../../lambda/greengrass/package-component")).run(
      [
        "--bucket", "a-bucket", "--account", "123456789012", "--region", "eu-central-1", "--amd64", zip,
        "--output", output,
      ] + version, environment: environment)
  }

  private func text(_ path: String) throws -> String {
    String(decoding: try fileContents("\(directory.path)/\(path)"), as: UTF8.self)
  }

  @Test(
    arguments: [
      (#"archive.writestr("/etc/cron.d/x", b"")"#, "absolute"),
      (#"archive.writestr("../x", b"")"#, "'..'"), (#"archive.writestr("a/../../x", b"")"#, "'..'"),
      (#"archive.writestr("a/..", b"")"#, "'..'"), (#"archive.writestr("..\\x", b"")"#, "'..'"),
      (#"archive.writestr("a\\b", b"")"#, "backslash"), (#"archive.writestr("C:x", b"")"#, "absolute"),
      (#"archive.writestr("\\x", b"")"#, "absolute"), (#"archive.writestr("a\nb", b"")"#, "control"),
      (#"archive.writestr("../x/", b"")"#, "'..'"),
      // Another name for the same file, such as the `bootstrap` that was checked.
      (#"archive.writestr("./bootstrap", b"script")"#, "shortest form"),
      (#"archive.writestr("a//b", b"")"#, "shortest form"),
      (#"archive.writestr("a/./b", b"")"#, "shortest form"),
      (#"archive.writestr(".", b"")"#, "shortest form"), (#"archive.writestr("./", b"")"#, "shortest form"),
      (#"archive.writestr("a//", b"")"#, "shortest form"),
      (#"archive.writestr("LICENSE", b""); archive.writestr("LICENSE", b"")"#, "more than once"),
      (
        #"i = zipfile.ZipInfo("x"); i.external_attr = (stat.S_IFLNK | 0o777) << 16; archive.writestr(i, b"/etc")"#,
        "neither a file nor a directory"
      ),
    ])
  func `rejects a zip with an entry that leaves its directory`(lines: String, reason: String) async throws {
    let run = try await package(try await makeZip(lines), to: "\(directory.path)/out")
    #expect(run.status == .code(1) && run.errors.count == 1, "\(run.errorText)")
    #expect(run.errorText.contains(reason) && run.errorText.contains("lambda/package"), "\(run.errorText)")
    #expect(unsafe access("\(directory.path)/out", F_OK) != 0)
  }

  @Test(arguments: ["STORED", "DEFLATED", "BZIP2", "LZMA"])
  func `rejects a damaged zip`(method: String) async throws {
    let zip = try await makeZip(
      """
      archive.writestr("x", bytes(1000), compress_type=zipfile.ZIP_\(method))
      start = archive.infolist()[1].header_offset + 31
      archive.close()
      contents = bytearray(open(sys.argv[1], "rb").read())
      contents[start + 4:start + 8] = b"\\xff" * 4
      open(sys.argv[1], "wb").write(contents)
      """)
    let run = try await package(zip, to: "\(directory.path)/out")
    #expect(run.status == .code(1) && run.errors.count == 1, "\(run.errorText)")
    #expect(run.errorText.contains("Can't read \(zip)"), "\(run.errorText)")
  }

  @Test(arguments: ["link", "link/sub", "link/sub/more", "own/sub"])
  func `follows no link of another user on the way to the output directory`(output: String)
    async throws
  {
    try directory.write("victim/sub/file", "")
    for (link, text) in [("link", "victim"), ("own", "link")] {
      try #require(unsafe symlink(text, "\(directory.path)/\(link)") == 0)
    }
    let isRoot = geteuid() == 0
    if isRoot { try #require(unsafe lchown("\(directory.path)/link", 65_534, 65_534) == 0) }
    let run = try await package(try await makeZip(""), to: "\(directory.path)/\(output)")
    // Only root can create a link that belongs to another user. A link of the same user is followed.
    #expect(run.status == .code(isRoot ? 1 : 0), "\(run.errorText)")
    #expect(run.errorText.contains("\(directory.path)/link is a link that belongs to another user") == isRoot)
    #expect((unsafe access("\(directory.path)/victim/sub/artifacts", F_OK) != 0) || !isRoot)
  }

  @Test func `accepts names that only resemble unsafe ones`() async throws {
    let zip = try await makeZip(#"archive.writestr("a..b/..c/d...", b""); archive.writestr("empty/", b"")"#)
    let run = try await package(zip, to: "\(directory.path)/out")
    #expect(run.status == .code(0), "\(run.errorText)")
  }

  @Test func `gives the component the version of this package by default`() async throws {
    let run = try await package(try await makeZip(""), to: "\(directory.path)/out", version: [])
    #expect(run.status == .code(0), "\(run.errorText)")
    let recipe = try text("out/recipes/DeviceDefenderAgent-\(packageVersion).yaml")
    #expect(recipe.contains("\nComponentVersion: \(packageVersion)\n"), "\(recipe)")
  }

  /// All files that are written below the output directory.
  private static let files = [
    "artifacts/DeviceDefenderAgent/1.2.3/device-defender-amd64.zip",
    "artifacts-unarchived/DeviceDefenderAgent/1.2.3/device-defender-amd64/bootstrap",
    "recipes/DeviceDefenderAgent-1.2.3.yaml",
    "create-component-version.json", "deployment.json", "deployment-fleet.json", "iot-policy.json",
    "artifact-policy.json",
  ]

  @Test(arguments: files)
  func `replaces a link instead of writing through it`(file: String) async throws {
    let victim = try directory.write("victim", "precious")
    // Creates the link's parent directories.
    let link = try directory.write("out/\(file)", "")
    try directory.remove("out/\(file)")
    try #require(unsafe symlink(victim, link) == 0)
    let run = try await package(try await makeZip(""), to: "\(directory.path)/out")
    #expect(run.status == .code(0), "\(run.errorText)")
    #expect(try text("victim") == "precious")
    var status = stat()
    #expect(unsafe lstat(link, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_size > 0)
  }

  @Test(arguments: [
    "artifacts", "artifacts/DeviceDefenderAgent", "artifacts/DeviceDefenderAgent/1.2.3", "recipes",
    "artifacts-unarchived",
    "artifacts-unarchived/DeviceDefenderAgent/1.2.3/device-defender-amd64",
  ])
  func `follows no link below the output directory`(folder: String) async throws {
    try directory.write("victim/other", "")
    try directory.write("out/\(folder)/file", "")
    try directory.remove("out/\(folder)/file")
    let link = "\(directory.path)/out/\(folder)"
    try #require(unsafe rmdir(link) == 0)
    try #require(unsafe symlink("\(directory.path)/victim", link) == 0)
    let run = try await package(try await makeZip(""), to: "\(directory.path)/out")
    #expect(run.status == .code(1) && run.errors.count == 1, "\(run.errorText)")
    #expect(run.errorText.contains("Can't write \(link)"), "\(run.errorText)")
    let listing = try await BuiltProgram(path: "/bin/ls").run(["-A", "\(directory.path)/victim"])
    #expect(listing.output == "other\n")
  }
}
