#!/usr/bin/python
# Copyright the tbctl authors
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: tbctl_install
short_description: Installs a TigerBeetle release with tbctl
description:
  - Runs C(tbctl install) on the host. What is installed already is left alone; what is not whole, not trusted or does not fit the replicas
    of the host is refused, and nothing is changed then.
  - In check mode everything is fetched and checked, as C(tbctl install --dry-run) does it.
  - Credentials of a store of artifacts are for the host's C(~/.netrc), for I(token_file), or for C(TBCTL_TOKEN) in the task's C(environment).
options:
  release:
    description: A release such as 0.17.8, or a path or URL that the host reads.
    type: str
    required: true
  target:
    description: Where it is installed. Otherwise the host's configuration says so.
    type: path
  mirror:
    description: Where releases come from in GitHub's place. It is passed by the environment, so that no list of processes has it.
    type: str
  token_file:
    description: A file of the host with a token for the mirror.
    type: path
  sha256:
    description: What the archive, or the executable in it, must hash to.
    type: str
  require:
    description: Refuse what nothing vouches for.
    type: str
    choices: [digest, signature]
  public_key:
    description: A minisign public key, or a file of the host that has it. Then a signature is required.
    type: str
  data_file:
    description: Data files of the replicas, where none of them runs.
    type: list
    elements: path
    default: []
  stopped:
    description: The replicas are stopped.
    type: bool
    default: false
  wait:
    description: How long to wait for another tbctl that works on the target, such as 1m.
    type: str
  wait_armed:
    description: Afterwards wait until the host's replicas hold the new file in memory, as long as one of them comes further within this time, such as 30s.
    type: str
  executable:
    description: The tbctl of the host.
    type: str
    default: tbctl
attributes:
  check_mode:
    description: Fetches and checks everything, and changes nothing.
    support: full
  diff_mode:
    description: Shows the release, the SHA-256 and the mode before and after.
    support: full
author:
  - tbctl authors
"""

EXAMPLES = r"""
- name: The new release, and a replica that holds it in memory
  tbctl.tbctl.tbctl_install:
    release: 0.17.8
    mirror: https://mirror.internal/{tag}/{asset}
    require: digest
    wait_armed: 30s
"""

RETURN = r"""
exit_code:
  description: tbctl's. 0 is done, or was so already. 3 the artifact is rejected, 4 it does not fit, 5 another tbctl works there, 6 the state on the disk
    is not known, 7 a rollout holds the host, 1 anything else; after 1 to 5 and 7 nothing was changed, unless RV(msg) says so.
  returned: always
  type: int
kind:
  description: The exit code in a word.
  returned: on failure
  type: str
hint:
  description: What to type next.
  returned: on failure, where there is one
  type: str
document:
  description: What C(tbctl install --json) printed.
  returned: always, unless it printed none
  type: dict
"""

import json

from ansible.module_utils.basic import AnsibleModule


def command(module, executable):
    p = module.params
    line = [executable, "install", "--json"]
    if module.check_mode:
        line.append("--dry-run")
    for name in ("sha256", "require", "public_key", "token_file", "wait", "wait_armed"):
        if p[name]:
            line.append("--%s=%s" % (name.replace("_", "-"), p[name]))
    line += ["--data-file=" + name for name in p["data_file"]]
    if p["stopped"]:
        line.append("--stopped")
    line += ["--", p["release"]]
    if p["target"]:
        line.append(p["target"])
    return line


def shown(file, attributes):
    """What a diff shows of a file, a line for each fact."""
    if not file:
        return ""
    facts = [("release", file.get("release")), ("sha256", file.get("sha256")), ("mode", (attributes or {}).get("mode"))]
    return "".join("%s: %s\n" % fact for fact in facts if fact[1])


def main():
    module = AnsibleModule(
        argument_spec=dict(
            release=dict(type="str", required=True),
            target=dict(type="path"),
            mirror=dict(type="str"),
            token_file=dict(type="path", no_log=False),
            sha256=dict(type="str"),
            require=dict(type="str", choices=["digest", "signature"]),
            public_key=dict(type="str", no_log=False),
            data_file=dict(type="list", elements="path", default=[]),
            stopped=dict(type="bool", default=False),
            wait=dict(type="str"),
            wait_armed=dict(type="str"),
            executable=dict(type="str", default="tbctl"),
        ),
        supports_check_mode=True,
    )
    executable = module.get_bin_path(module.params["executable"])
    if not executable:
        module.fail_json(msg="there is no %s on the host: install it first, it is one static file" % module.params["executable"], exit_code=127)
    environment = {}
    if module.params["mirror"]:
        environment["TBCTL_MIRROR"] = module.params["mirror"]
    code, out, err = module.run_command(command(module, executable), environ_update=environment)
    try:
        document = json.loads(out)
    except ValueError:
        module.fail_json(msg="tbctl printed no document: %s" % (err or out).strip(), exit_code=code)
    for warning in document.get("warnings") or []:
        module.warn(warning)

    outcome = document.get("result") or {}
    plan = outcome.get("plan") or {}
    would = module.check_mode and code == 0 and plan.get("action") in ("create", "replace")
    facts = dict(exit_code=code, document=document, changed=bool(outcome.get("changed")) or would)
    if plan:
        target = plan.get("target") or {}
        before = shown(plan.get("installed"), target.get("attributes"))
        after = shown(plan.get("new"), plan.get("attributes")) if facts["changed"] else before
        name = target.get("path", "")
        facts["diff"] = dict(before_header=name, after_header=name, before=before, after=after)
    if code != 0:
        error = document.get("error") or {}
        message = error.get("message", "exit code %d" % code)
        if error.get("hint"):
            facts["hint"] = error["hint"]
        module.fail_json(msg=message, kind=error.get("kind", ""), **facts)
    module.exit_json(**facts)


if __name__ == "__main__":
    main()
