"""AWS's model of AWS IoT, as botocore has it: which documents it accepts.

botocore's ParamValidator checks types, required and unknown members and lower bounds. The service checks enumerations, patterns and
upper bounds of the same model; `problems` adds them. Behaviors that the model accepts may still be wrong, see profiles.py.
"""
import functools
import re


@functools.cache
def service():
    import botocore.session
    return botocore.session.Session().get_service_model("iot")


def pattern(expression):
    """Returns a pattern of the model with Java's character classes in Python's words."""
    for java, own in {r"[\p{Graph}\x20]": r"[\x20-\x7e]", r"[^\p{Cntrl}]": r"[^\x00-\x1f\x7f]"}.items():
        expression = expression.replace(java, own)
    return None if r"\p" in expression else expression


def service_side(shape, value, path):
    """Yields what is wrong with a value of the right type."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from service_side(shape.members[name], member, f"{path}.{name}")
        return
    if shape.type_name == "map":
        for name, member in value.items():
            yield from service_side(shape.value, member, f"{path}.{name}")
        return
    if isinstance(value, bool) != (shape.type_name == "boolean"):
        yield f"{path}: a boolean"  # Python's booleans are integers
    size = value if shape.type_name in ("integer", "long", "double") else len(value) if isinstance(value, (str, list)) else 0
    if size > shape.metadata.get("max", size):
        yield f"{path}: more than {shape.metadata['max']}"
    if shape.type_name == "list":
        for number, member in enumerate(value):
            yield from service_side(shape.member, member, f"{path}[{number}]")
    if getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value} isn't one of {shape.enum}"
    expression = pattern(shape.metadata.get("pattern", ""))
    if expression and not re.fullmatch(expression, value):
        yield f"{path}: {value} doesn't match {expression}"


def problems(shape, document):
    from botocore.validate import ParamValidator
    report = ParamValidator().validate(document, shape)
    if report.has_errors():
        return [report.generate_report()]
    return list(service_side(shape, document, ""))


def profile_problems(profile):
    """Returns what the model has against the input of CreateSecurityProfile."""
    return problems(service().operation_model("CreateSecurityProfile").input_shape, profile)


def event_problems(event):
    return problems(service().shape_for("ViolationEvent"), event)
