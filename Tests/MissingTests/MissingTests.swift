// Takes the place of all tests in a build without DEVICE_DEFENDER_TOOLS=1 (Package.swift).
#error("This build lacks the tests. Run them with lambda/test, or DEVICE_DEFENDER_TOOLS=1 swift test")
