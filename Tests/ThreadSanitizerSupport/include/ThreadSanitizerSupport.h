// Nothing to call: the target replaces functions of Swift's Mutex. SwiftPM needs a header.
