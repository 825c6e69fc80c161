#include "base/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../run.h"

static char root[64];

static void put(const char *path, const char *text) {
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *s = full + strlen(root) + 1; (s = strchr(s, '/')); s++) {
        *s = 0;
        mkdir(full, 0700);
        *s = '/';
    }
    FILE *f = fopen(full, "w");
    ck_assert_msg(f != NULL, "%s", full);
    fputs(text, f);
    fclose(f);
}

/* A machine of 8 cores and 16 GiB without groups. */
static void new_tree(void) {
    strcpy(root, "/tmp/sluice-machine-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: X\nmodel\t\t: 85\nmodel name\t: Test CPU 3000\n");
    put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
    put("/proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-5\n");
    put("/sys/devices/system/cpu/online", "0-6,9\n");
}

static sl_machine read_tree(void) {
    sl_machine m;
    char command[128];
    sl_machine_read_at(root, &m);
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
    return m;
}

#define GIB (UINT64_C(1) << 30)
#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"

START_TEST(test_bare) {
    new_tree();
    sl_machine m = read_tree();
    ck_assert_str_eq(m.cpu_model, "Test CPU 3000");
    ck_assert_int_eq(m.cpus_online, 8);
    ck_assert_int_eq(m.cpus_affinity, 6);
    ck_assert(m.cpus_quota == 0);
    ck_assert_int_eq(m.threads, 6);
    ck_assert_uint_eq(m.memory_total, 16 * GIB);
    ck_assert_uint_eq(m.memory_limit, 16 * GIB);
    ck_assert(!m.memory_limited);
}
END_TEST

/* The tightest limit may be anywhere on the way up. */
START_TEST(test_v2) {
    new_tree();
    put("/proc/self/cgroup", "0::/pods/pod1/box\n");
    put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" V2_MOUNT);
    put("/sys/fs/cgroup/pods/pod1/box/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/pods/pod1/box/memory.max", "max\n");
    put("/sys/fs/cgroup/pods/pod1/cpu.max", "250000 100000\n");
    put("/sys/fs/cgroup/pods/pod1/memory.max", "4294967296\n");
    put("/sys/fs/cgroup/pods/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/pods/memory.max", "8589934592\n");
    put("/sys/fs/cgroup/pods/pod2/cpu.max", "10000 100000\n"); /* not ours */
    sl_machine m = read_tree();
    ck_assert(m.cpus_quota == 2.5);
    ck_assert_int_eq(m.threads, 2);
    ck_assert_uint_eq(m.memory_limit, 4 * GIB);
    ck_assert(m.memory_limited);
}
END_TEST

/* In a container with a name space of its own the group is "/" and its files lie at the mount. */
START_TEST(test_v2_namespace) {
    new_tree();
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", V2_MOUNT);
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    put("/sys/fs/cgroup/memory.max", "1073741824\n");
    sl_machine m = read_tree();
    ck_assert(m.cpus_quota == 0.5);
    ck_assert_int_eq(m.threads, 1); /* at least one */
    ck_assert_uint_eq(m.memory_limit, GIB);
}
END_TEST

START_TEST(test_v2_outside_the_mount) {
    new_tree();
    put("/proc/self/cgroup", "0::/../../other\n");
    put("/proc/self/mountinfo", V2_MOUNT);
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    ck_assert_int_eq(read_tree().threads, 3);
}
END_TEST

/* A v1 container without a name space: the path names the host's groups, the mount shows only the inner one. */
START_TEST(test_v1) {
    new_tree();
    put("/proc/self/cgroup", "12:memory:/docker/abc/inner\n4:cpuset:/\n3:cpu,cpuacct:/docker/abc/inner\n0::/x\n");
    put("/proc/self/mountinfo",
        "40 39 0:35 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "41 39 0:36 /docker/abc /sys/fs/cgroup/memory ro shared:7 - cgroup cgroup rw,memory\n"
        "42 39 0:37 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n");
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n");
    put("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
    sl_machine m = read_tree();
    ck_assert(m.cpus_quota == 3);
    ck_assert_int_eq(m.threads, 3);
    ck_assert_uint_eq(m.memory_limit, 2 * GIB);
    ck_assert(m.memory_limited);
}
END_TEST

START_TEST(test_nonsense) {
    new_tree();
    put("/proc/self/cgroup", "0::/a\nbroken\n::\n");
    put("/proc/self/mountinfo", "- cgroup2\n a - cgroup2 x\n" V2_MOUNT);
    put("/proc/self/status", "Cpus_allowed_list:\tx-\n");
    put("/sys/devices/system/cpu/online", "");
    put("/sys/fs/cgroup/a/cpu.max", "one two\n");
    put("/sys/fs/cgroup/a/memory.max", "\n");
    put("/sys/fs/cgroup/cpu.max", "100 0\n");
    sl_machine m = read_tree();
    ck_assert_int_eq(m.threads, 1);
    ck_assert(m.cpus_quota == 0);
    ck_assert(!m.memory_limited);
    sl_machine_read_at("/nowhere", &m);
    ck_assert_int_eq(m.threads, 1);
    ck_assert_uint_eq(m.memory_total, 0);
}
END_TEST

START_TEST(test_this_machine) {
    sl_machine m;
    sl_machine_read(&m);
    ck_assert_int_ge(m.threads, 1);
    ck_assert_int_le(m.threads, m.cpus_online);
    ck_assert_uint_gt(m.memory_total, 1 << 20);
    ck_assert_uint_le(m.memory_limit, m.memory_total);
}
END_TEST

START_TEST(test_usage) {
    sl_process_usage a, b;
    sl_process_usage_read(&a);
    int fd = dup(0);
    volatile char *p = malloc(64 << 20);
    for (size_t i = 0; i < 64 << 20; i += 4096) p[i] = 1;
    sl_process_usage_read(&b);
    ck_assert_int_eq(b.open_fds, a.open_fds + (fd >= 0));
    ck_assert_int_gt(b.max_fds, 2);
    ck_assert_uint_ge(b.resident_bytes, a.resident_bytes + (48 << 20));
    ck_assert_uint_ge(b.virtual_bytes, b.resident_bytes);
    ck_assert_uint_ge(b.minor_faults, a.minor_faults);
    ck_assert(b.cpu_seconds >= a.cpu_seconds && b.cpu_seconds < 1000);
    ck_assert(b.start_time > 1e9 && b.start_time < 1e11);
    free((void *)(uintptr_t)p);
    if (fd >= 0) close(fd);
}
END_TEST

int main(void) {
    return RUN_TESTS("base/machine", 30, test_bare, test_v2, test_v2_namespace, test_v2_outside_the_mount, test_v1,
                     test_nonsense, test_this_machine, test_usage);
}
