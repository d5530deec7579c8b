"""An echo function for AWS's runtime client for Python."""
import sys

from awslambdaric.__main__ import main


def handler(event, context):
    return event


if __name__ == "__main__":
    main([sys.argv[0], "echo_function.handler"])
