"""The certificates of the soak test: a throwaway authority, the broker's TLS, and a device's pair that is renewed."""
import os
import shutil
import ssl
import subprocess


class Certificates:
    """A device's certificate and key at fixed paths. Each renewal writes another of several pairs there."""

    PAIRS = 6

    def __init__(self, directory):
        self.directory, self.current = directory, 0
        os.mkdir(directory, 0o700)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "400"]
        self.openssl("req", "-x509", *key, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
        for name in ["localhost", *map(self.name, range(self.PAIRS))]:
            self.openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
                         "-addext", "basicConstraints=CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key",
                         "-keyout", f"{name}.key", "-out", f"{name}.pem")
        self.authority, self.certificate, self.key = (f"{directory}/{name}" for name in ["ca.pem", "device.pem", "device.key"])
        for kind in ["pem", "key"]:
            shutil.copy(f"{directory}/{self.name(0)}.{kind}", f"{directory}/device.{kind}")

    @staticmethod
    def name(index):
        return f"device-{index}"

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def secrets(self):
        """Returns a line of each private key, by a name."""
        found = {}
        for index in range(self.PAIRS):
            with open(f"{self.directory}/{self.name(index)}.key") as file:
                found[f"private key {index}"] = file.read().split("\n")[1]
        return found

    def server(self):
        """Returns the context of a server that requires a certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.directory}/localhost.pem", f"{self.directory}/localhost.key")
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def renew(self, pause, choice):
        """Writes the next pair, one file after the other. `pause()` is called while they don't match."""
        self.current = (self.current + 1) % self.PAIRS
        kinds = choice([["pem", "key"], ["key", "pem"]])
        in_place = choice([True, False])
        for kind in kinds:
            source, target = f"{self.directory}/{self.name(self.current)}.{kind}", f"{self.directory}/device.{kind}"
            if in_place:
                # The file is truncated first, and written in two pieces.
                with open(source, "rb") as file:
                    contents = file.read()
                with open(target, "wb") as file:
                    file.write(contents[:100])
                    file.flush()
                    pause()
                    file.write(contents[100:])
            else:
                shutil.copy(source, target + ".new")
                os.rename(target + ".new", target)
            pause()


def shown_name(connection):
    """Returns the name in the certificate that the client of a TLS connection has shown."""
    return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]
