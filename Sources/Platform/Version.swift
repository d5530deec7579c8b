/// This product's version. It is written nowhere else: `lambda/package` and the tests read it here.
package let productVersion = "0.1.0"
