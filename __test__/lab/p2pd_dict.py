"""What P2PD makes of interface dicts: a JSON list of them in, what it prints of each out. Nothing touches the network.

Out, one for each dict: {"printed": its to_dict(), "evaluated": whether eval(repr()) gives an equal one}, or {"refused": why};
and "calls": what was about to use the network, which is nothing.
"""
import contextlib
import json
import sys

# Reading a dict needs no socket: to use one or to start a program is stopped and told, wherever in P2PD it happens.
HARMLESS = {"socket.__new__", "socket.gethostname"}
calls = []


def guard(event, args):
    if (event.startswith("socket.") and event not in HARMLESS) or event in ("subprocess.Popen", "os.system"):
        calls.append(event)
        raise PermissionError(event)


sys.addaudithook(guard)

# P2PD prints now and then; standard output belongs to the answer.
with contextlib.redirect_stdout(sys.stderr):
    from p2pd import Interface


def integers(by_family):
    """P2PD looks families up by integer; JSON made them strings."""
    return {int(family): value for family, value in by_family.items()}


def load(d):
    d = dict(d)
    for field in ("rp", "is_default"):
        if field in d:
            d[field] = integers(d[field])
    return Interface.from_dict(d)


def answer(d):
    try:
        nic = load(d)
        printed = nic.to_dict()
    except Exception as error:
        return {"refused": repr(error)}
    return {"printed": printed, "evaluated": eval(repr(nic), {"Interface": Interface}).to_dict() == printed}


with contextlib.redirect_stdout(sys.stderr):
    answers = [answer(d) for d in json.load(sys.stdin)]
json.dump({"answers": answers, "calls": calls}, sys.stdout)
