/* machine.h: what the machine and its cgroup allow.
 * Any thread; reads /proc and /sys on each call (not for the hot path). */
#ifndef SL_BASE_MACHINE_H
#define SL_BASE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_machine {
    char cpu_model[96];       /* "AMD EPYC …", "" if unknown */
    int cpus_online;          /* what the kernel has */
    int cpus_affinity;        /* what the process may be scheduled on */
    double cpus_quota;        /* cgroup quota (v2 cpu.max up to the root, v1 cfs_quota); 0: none */
    int threads;              /* floor(min of the above), at least 1 */
    uint64_t memory_total;    /* bytes */
    uint64_t memory_limit;    /* bytes: the least cgroup limit up to the root, or memory_total */
    bool memory_limited;      /* a cgroup sets memory_limit */
} sl_machine;

void sl_machine_read(sl_machine *ret);

typedef struct sl_process_usage {
    uint64_t resident_bytes, virtual_bytes;
    double cpu_seconds;      /* user and system */
    int64_t open_fds, max_fds;
    double start_time;       /* seconds since the epoch */
    uint64_t minor_faults, major_faults;
    double throttled_seconds; /* of the cgroup; 0 without one */
} sl_process_usage;

void sl_process_usage_read(sl_process_usage *ret);

/* The same from a given root instead of "/": for tests with made-up /proc and /sys trees. */
void sl_machine_read_at(const char *root, sl_machine *ret);

#endif
