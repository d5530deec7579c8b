// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "device-defender-swift",
  products: [
    .library(name: "LambdaRuntime", targets: ["LambdaRuntime"]),
    .library(name: "LambdaRuntimeAsync", targets: ["LambdaRuntimeAsync"]),
    .library(name: "LambdaRuntimeAsyncCodable", targets: ["LambdaRuntimeAsyncCodable"]),
    .library(name: "LambdaRuntimeCodable", targets: ["LambdaRuntimeCodable"]),
    .library(name: "LambdaEvents", targets: ["LambdaEvents"]),
    .library(name: "LambdaEventsAsync", targets: ["LambdaEventsAsync"]),
    .library(name: "LambdaRuntimeLogging", targets: ["LambdaRuntimeLogging"]),
    .library(name: "LambdaRuntimeTesting", targets: ["LambdaRuntimeTesting"]),
    .plugin(name: "LambdaArchive", targets: ["LambdaArchive"]),
    .plugin(name: "LambdaInit", targets: ["LambdaInit"]),
    .executable(name: "bootstrap", targets: ["bootstrap"]),
    .executable(name: "echo-function", targets: ["echo-function"]),
  ],
  traits: [
    .trait(name: "SwiftLog", description: "Builds LambdaRuntimeLogging, and fetches swift-log for it.")
  ],
  dependencies: [
    // Only fetched with the trait.
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0")
  ],
  targets: [
    // Libraries, from the bottom up.
    .systemLibrary(
      name: "CCurl", path: "Sources/CCurl", pkgConfig: "libcurl",
      providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(
      name: "COpenSSL", path: "Sources/COpenSSL", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CLinux", path: "Sources/CLinux"),
    .systemLibrary(name: "CDispatchMain", path: "Sources/CDispatchMain"),

    .target(name: "WireFormats", swiftSettings: strict),
    .target(name: "Platform", dependencies: ["CLinux", "WireFormats"], swiftSettings: strict),
    .target(
      name: "HTTPClient", dependencies: ["CCurl", "COpenSSL", "Platform", "WireFormats"],
      swiftSettings: strict),
    .target(name: "GreengrassIPC", dependencies: ["Platform", "WireFormats"], swiftSettings: strict),
    .target(
      name: "MQTT", dependencies: ["COpenSSL", "HTTPClient", "Platform", "WireFormats"],
      swiftSettings: strict),
    .target(
      name: "AWSClient", dependencies: ["COpenSSL", "HTTPClient", "Platform", "WireFormats"],
      swiftSettings: strict),
    .target(
      name: "DeviceDefender", dependencies: ["CLinux", "Platform", "WireFormats"],
      swiftSettings: strict),
    .target(
      name: "Detection", dependencies: ["DeviceDefender", "WireFormats"], swiftSettings: strict),
    // The page of `defender detect report`; nothing that `bootstrap` links imports it.
    .target(
      name: "DetectionReport", dependencies: ["Detection", "DeviceDefender", "Platform", "WireFormats"],
      swiftSettings: strict),
    .target(
      name: "FleetDetection",
      dependencies: ["AWSClient", "Detection", "HTTPClient", "Platform", "WireFormats"],
      swiftSettings: strict),
    .target(
      name: "LambdaRuntime", dependencies: ["CLinux", "Platform", "WireFormats"], swiftSettings: strict),
    // Brings Swift's concurrency and Dispatch; nothing that `bootstrap` links does.
    .target(
      name: "LambdaRuntimeAsync", dependencies: ["CDispatchMain", "CLinux", "LambdaRuntime", "Platform"],
      swiftSettings: strict),
    .target(
      name: "LambdaRuntimeLogging",
      dependencies: [
        "LambdaRuntime",
        .product(name: "Logging", package: "swift-log", condition: .when(traits: ["SwiftLog"])),
      ],
      swiftSettings: strict),
    .target(
      name: "LambdaRuntimeAsyncCodable", dependencies: ["LambdaRuntimeAsync", "LambdaRuntimeCodable"],
      swiftSettings: strict),
    // Brings FoundationEssentials; nothing that `bootstrap` links does.
    .target(name: "LambdaRuntimeCodable", dependencies: ["LambdaRuntime"], swiftSettings: strict),
    .target(
      name: "LambdaEvents", dependencies: ["LambdaRuntime", "Platform", "WireFormats"], swiftSettings: strict),
    // For tests of functions, which run in the process of the tests.
    .target(
      name: "LambdaRuntimeTesting",
      dependencies: ["LambdaRuntime", "LambdaRuntimeAsync", "Platform", "WireFormats"], swiftSettings: strict),
    .target(
      name: "LambdaEventsAsync", dependencies: ["LambdaEvents", "LambdaRuntimeAsync"], swiftSettings: strict),
    .target(
      name: "LambdaEmulator",
      dependencies: [
        "CLinux", "COpenSSL", "Platform", "WireFormats",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .target(
      name: "DefenderAgent",
      dependencies: [
        "AWSClient", "Detection", "DeviceDefender", "GreengrassIPC", "HTTPClient", "MQTT", "Platform",
        "WireFormats",
      ],
      swiftSettings: strict),
    .target(
      name: "DefenderFunction",
      dependencies: [
        "AWSClient", "DefenderAgent", "DeviceDefender", "FleetDetection", "HTTPClient", "LambdaRuntime",
        "Platform", "WireFormats",
      ],
      path: "lambda/Function", swiftSettings: strict),

    // Commands for packages that depend on this one: `swift package lambda-archive`.
    .plugin(
      name: "LambdaArchive",
      capability: .command(
        intent: .custom(
          verb: "lambda-archive", description: "Builds a function for AWS Lambda and writes its zip."))),
    .plugin(
      name: "LambdaInit",
      capability: .command(
        intent: .custom(verb: "lambda-init", description: "Writes a first function for AWS Lambda."),
        permissions: [.writeToPackageDirectory(reason: "to write Sources/NAME/main.swift")])),

    // Programs.
    .executableTarget(
      name: "bootstrap",
      dependencies: ["DefenderAgent", "DefenderFunction", "GreengrassIPC", "LambdaRuntime", "Platform"],
      path: "bootstrap", swiftSettings: strict),
    .executableTarget(
      name: "defender",
      dependencies: [
        "AWSClient", "CLinux", "DefenderAgent", "Detection", "DetectionReport", "DeviceDefender",
        "FleetDetection", "GreengrassIPC", "HTTPClient", "LambdaEmulator", "Platform", "WireFormats",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      resources: [.embedInCode("SampleEvents")],
      swiftSettings: strict),

    // Functions for the tests of the runtime. Also built without the tools, as everybody builds a function.
    .executableTarget(
      name: "echo-function", dependencies: ["LambdaRuntime", "Platform", "WireFormats"],
      path: "Tests/EchoFunction", swiftSettings: strict),
    .executableTarget(
      name: "async-echo-function",
      dependencies: ["CLinux", "LambdaRuntime", "LambdaRuntimeAsync", "WireFormats"],
      path: "Tests/AsyncEchoFunction", swiftSettings: strict),

    // Tests, in the order of what they test, then those of several targets.
    .target(name: "ThreadSanitizerSupport", path: "Tests/ThreadSanitizerSupport"),
    .target(
      name: "TestSupport",
      dependencies: [
        "CLinux", "COpenSSL", "HTTPClient", "LambdaEmulator", "MQTT", "Platform", "ThreadSanitizerSupport",
        "WireFormats",
      ],
      path: "Tests/TestSupport", swiftSettings: strict),
    .target(
      name: "AgentTestSupport",
      dependencies: ["DefenderAgent", "HTTPClient", "Platform", "TestSupport", "WireFormats"],
      path: "Tests/AgentTestSupport", swiftSettings: strict),
    .testTarget(
      name: "WireFormatsTests", dependencies: ["WireFormats", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "PlatformTests", dependencies: ["Platform", "TestSupport", "WireFormats"],
      swiftSettings: strict),
    .testTarget(
      name: "HTTPClientTests",
      dependencies: ["COpenSSL", "HTTPClient", "Platform", "TestSupport", "WireFormats"],
      swiftSettings: strict),
    .testTarget(
      name: "GreengrassIPCTests",
      dependencies: ["GreengrassIPC", "Platform", "TestSupport", "WireFormats"], swiftSettings: strict),
    .testTarget(
      name: "MQTTTests", dependencies: ["MQTT", "Platform", "TestSupport", "WireFormats"],
      swiftSettings: strict),
    .testTarget(
      name: "AWSClientTests",
      dependencies: ["AWSClient", "HTTPClient", "Platform", "TestSupport", "WireFormats"],
      swiftSettings: strict),
    .testTarget(
      name: "DeviceDefenderTests",
      dependencies: ["CLinux", "DeviceDefender", "Platform", "TestSupport", "WireFormats"],
      swiftSettings: strict),
    .testTarget(
      name: "DetectionTests",
      dependencies: ["Detection", "DeviceDefender", "Platform", "TestSupport", "WireFormats"],
      swiftSettings: strict),
    .testTarget(
      name: "DetectionReportTests",
      dependencies: ["AWSClient", "Detection", "DetectionReport", "DeviceDefender", "WireFormats"],
      swiftSettings: strict),
    .testTarget(
      name: "FleetDetectionTests",
      dependencies: [
        "AWSClient", "Detection", "FleetDetection", "HTTPClient", "Platform", "TestSupport", "WireFormats",
      ], swiftSettings: strict),
    .testTarget(
      name: "LambdaRuntimeTests",
      dependencies: [
        "LambdaRuntime", "LambdaRuntimeAsync", "LambdaRuntimeAsyncCodable", "Platform", "TestSupport",
        "WireFormats", "async-echo-function", "echo-function",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "LambdaRuntimeCodableTests", dependencies: ["LambdaRuntime", "LambdaRuntimeCodable", "Platform"],
      swiftSettings: strict),
    .testTarget(
      name: "LambdaRuntimeTestingTests",
      dependencies: [
        "LambdaRuntime", "LambdaRuntimeAsync", "LambdaRuntimeCodable", "LambdaRuntimeTesting", "Platform",
        "TestSupport",
      ], swiftSettings: strict),
    .testTarget(
      name: "LambdaEventsTests",
      dependencies: [
        "LambdaEvents", "LambdaEventsAsync", "LambdaRuntime", "Platform", "TestSupport", "WireFormats",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "LambdaEmulatorTests",
      dependencies: [
        "LambdaEmulator", "LambdaEvents", "LambdaRuntime", "Platform", "TestSupport", "WireFormats",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "DefenderAgentTests",
      dependencies: [
        "AgentTestSupport", "AWSClient", "DefenderAgent", "Detection", "DeviceDefender", "GreengrassIPC",
        "HTTPClient",
        "LambdaEmulator", "MQTT", "Platform", "TestSupport", "WireFormats",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "DefenderFunctionTests",
      dependencies: [
        "AgentTestSupport", "AWSClient", "DefenderAgent", "DefenderFunction", "DeviceDefender",
        "FleetDetection", "HTTPClient", "LambdaRuntime", "Platform", "TestSupport", "WireFormats",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "DefenderTests",
      dependencies: [
        "AWSClient", "defender", "DefenderAgent", "Detection", "DeviceDefender", "FleetDetection",
        "LambdaEmulator", "Platform", "TestSupport", "WireFormats",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests",
      dependencies: ["CLinux", "HTTPClient", "LambdaEmulator", "Platform", "TestSupport", "WireFormats"],
      swiftSettings: strict),
    // Also built by Tests/Fuzz/run, which searches for what these replay.
    .testTarget(
      name: "FuzzTests",
      dependencies: [
        "AWSClient", "DefenderAgent", "DefenderFunction", "Detection", "DeviceDefender",
        "FleetDetection", "GreengrassIPC", "HTTPClient", "LambdaEmulator", "LambdaEvents", "LambdaRuntime",
        "MQTT",
        "Platform", "TestSupport", "WireFormats",
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "baseline-simulation", dependencies: ["Detection", "DeviceDefender"],
      path: "Tests/Baseline/Simulation", swiftSettings: strict),
    .executableTarget(
      name: "fleet-simulation",
      dependencies: ["AWSClient", "DefenderAgent", "Detection", "DeviceDefender", "Platform"],
      path: "Tests/Fleet/Simulation", swiftSettings: strict),
    .testTarget(
      name: "FleetTests",
      dependencies: [
        "AWSClient", "DefenderAgent", "DeviceDefender", "HTTPClient", "MQTT", "Platform", "TestSupport",
        "fleet-simulation",
      ],
      path: "Tests/Fleet/Tests", swiftSettings: strict),

    // Benchmarks, which Tests/Benchmarks/run starts.
    .executableTarget(
      name: "collector-benchmark",
      dependencies: [
        "CLinux", "CollectorReference", "Detection", "DeviceDefender", "Platform", "WireFormats",
      ],
      path: "Tests/Benchmarks/Collector", swiftSettings: strict),
    .target(name: "CollectorReference", path: "Tests/Benchmarks/CollectorReference"),
    .executableTarget(name: "socket-load", path: "Tests/Benchmarks/SocketLoad"),
    .executableTarget(
      name: "signing-benchmark",
      dependencies: ["AWSClient", "DefenderAgent", "HTTPClient", "Platform", "WireFormats"],
      path: "Tests/Benchmarks/Signing", swiftSettings: strict),
    .executableTarget(
      name: "events-benchmark",
      dependencies: ["LambdaEvents", "LambdaRuntime", "LambdaRuntimeCodable", "Platform"],
      path: "Tests/Benchmarks/Events", swiftSettings: strict),
    .executableTarget(
      name: "publishing-benchmark",
      dependencies: ["AWSClient", "DefenderAgent", "HTTPClient", "Platform", "WireFormats"],
      path: "Tests/Benchmarks/Publishing", swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)

// SwiftPM fetches the dependencies of this package for everyone who depends on one of its libraries. Only `defender` and the tests
// need any. So they, and all other programs of Tests/, exist only if this variable is set. lambda/arguments.sh sets it in all scripts.
if Context.environment["DEVICE_DEFENDER_TOOLS"] == "1" {
  package.products.append(.executable(name: "defender", targets: ["defender"]))
  package.dependencies += [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
  ]
} else {
  package.targets.removeAll { target in
    ["DetectionReport", "LambdaEmulator", "defender"].contains(target.name) || target.type == .test
      || (target.path?.hasPrefix("Tests/") == true && !target.name.hasSuffix("echo-function"))
  }
  // Both say how to build what is missing. Not strict: the first one has a warning.
  package.products.append(.executable(name: "defender", targets: ["MissingTools"]))
  package.targets += [
    .executableTarget(name: "MissingTools"),
    .testTarget(name: "MissingTests", path: "Tests/MissingTests"),
  ]
}
