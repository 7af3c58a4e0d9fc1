//! Which calls into the kernel the code under test may make.

/// The profile: a list of what PostgreSQL, Python, the shell and its tools need; anything else is refused. The engine takes it as text.
pub(super) const PROFILE: &str = include_str!("../../sandbox/seccomp.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn rules() -> Vec<Value> {
        let profile: Value = serde_json::from_str(PROFILE).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        profile["syscalls"].as_array().unwrap().clone()
    }

    fn names(rule: &Value) -> impl Iterator<Item = &str> {
        rule["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap())
    }

    #[test]
    fn what_leads_out_is_not_listed() {
        let rules = rules();
        let allowed: BTreeSet<&str> = rules.iter().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW").flat_map(names).collect();
        let never = "acct add_key bpf chroot clock_settime clone3 delete_module fanotify_init finit_module fsconfig fsmount fsopen \
            init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie \
            memfd_create modify_ldt mount mount_setattr move_mount mq_open msgget name_to_handle_at nfsservctl open_by_handle_at open_tree \
            perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl reboot request_key \
            seccomp setdomainname setgid setgroups sethostname setns setresuid settimeofday setuid splice swapoff swapon syslog umount2 \
            unshare userfaultfd vhangup vmsplice";
        let found: Vec<&str> = never.split_whitespace().filter(|name| allowed.contains(name)).collect();
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn what_can_lead_out_has_a_condition() {
        for rule in rules().iter().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW") {
            for name in
                names(rule).filter(|name| ["clone", "ioctl", "mknod", "mknodat", "personality", "socket", "socketpair"].contains(name))
            {
                assert!(rule["args"].as_array().is_some_and(|args| !args.is_empty()), "{name}");
            }
        }
    }

    #[test]
    fn no_unconditional_rule_repeats_a_call() {
        let mut seen = BTreeSet::new();
        for rule in rules().iter().filter(|rule| rule["args"].is_null()) {
            for name in names(rule) {
                assert!(seen.insert(name.to_owned()), "{name} is listed twice");
            }
        }
    }
}
