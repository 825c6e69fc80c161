/* machine.c: limits from /proc and the cgroup files. The process's own group is named in /proc/self/cgroup relative to the
 * hierarchy's root; where that hierarchy is mounted, and which group the mount shows as its root, is in
 * /proc/self/mountinfo. A limit of any group from there up to the mount's root binds, so the least counts. */
#include "base/machine.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

typedef enum hierarchy { V2, V1_CPU, V1_MEMORY } hierarchy;

static FILE *open_at(const char *root, const char *path) {
    char full[2 * PATH_SIZE];
    if (snprintf(full, sizeof full, "%s%s", root, path) >= (int)sizeof full) return NULL;
    return fopen(full, "re");
}

/* The next line without its newline; a line over the buffer is cut and its rest skipped. */
static bool next_line(FILE *f, char *line, int size) {
    if (!fgets(line, size, f)) return false;
    size_t n = strlen(line);
    if (n && line[n - 1] == '\n') {
        line[n - 1] = 0;
        return true;
    }
    for (int c = getc(f); c != '\n' && c != EOF;) c = getc(f);
    return true;
}

static bool first_line(const char *root, const char *path, char *line, int size) {
    FILE *f = open_at(root, path);
    if (!f) return false;
    bool ok = next_line(f, line, size);
    fclose(f);
    return ok;
}

/* The text after `key` and blanks or a colon, in the first line that begins with it. */
static bool find_value(const char *root, const char *path, const char *key, char *ret, size_t size) {
    FILE *f = open_at(root, path);
    if (!f) return false;
    char line[1024];
    size_t n = strlen(key);
    bool found = false;
    while (!found && next_line(f, line, sizeof line)) {
        if (strncmp(line, key, n) || !strchr(" \t:", line[n])) continue;
        snprintf(ret, size, "%s", line + n + strspn(line + n, " \t:"));
        found = true;
    }
    fclose(f);
    return found;
}

/* "0-3,6" is 5; 0 if it makes no sense. */
static int count_list(const char *s) {
    long count = 0;
    while (*s) {
        char *end;
        long first = strtol(s, &end, 10), last = first;
        if (end == s) break;
        if (*end == '-') last = strtol(end + 1, &end, 10);
        if (last >= first && last - first < 65536) count += last - first + 1;
        s = end + (*end == ',');
    }
    return count > 65536 ? 0 : (int)count;
}

/* Is name one of the words of a list separated by commas? */
static bool has_word(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *s = list; s; s = strchr(s, ',')) {
        s += *s == ',';
        if (!strncmp(s, name, n) && (s[n] == ',' || !s[n])) return true;
    }
    return false;
}

static const char *controller(hierarchy h) { return h == V1_CPU ? "cpu" : "memory"; }

/* The process's group in hierarchy h, from "4:cpu,cpuacct:/a/b" or "0::/a/b". */
static bool own_group(const char *root, hierarchy h, char ret[PATH_SIZE]) {
    FILE *f = open_at(root, "/proc/self/cgroup");
    if (!f) return false;
    char line[PATH_SIZE];
    bool found = false;
    while (!found && next_line(f, line, sizeof line)) {
        char *list = strchr(line, ':');
        char *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        list++;
        found = h == V2 ? !*list : has_word(list, controller(h));
        if (found) snprintf(ret, PATH_SIZE, "%s", path);
    }
    fclose(f);
    return found;
}

/* Where hierarchy h is mounted, and the group that is the mount's root:
 * "36 35 0:30 /root/of/mount /mount/point rw,… shared:1 - cgroup2 source rw,options". */
static bool find_mount(const char *root, hierarchy h, char ret_group[PATH_SIZE], char ret_point[PATH_SIZE]) {
    FILE *f = open_at(root, "/proc/self/mountinfo");
    if (!f) return false;
    char line[PATH_SIZE];
    bool found = false;
    while (!found && next_line(f, line, sizeof line)) {
        char *tail = strstr(line, " - cgroup");
        if (!tail) continue;
        char group[PATH_SIZE], point[PATH_SIZE], type[16], options[PATH_SIZE];
        if (sscanf(line, "%*s %*s %*s %4095s %4095s", group, point) != 2) continue;
        if (sscanf(tail, " - %15s %*s %4095s", type, options) != 2) continue;
        found = h == V2 ? !strcmp(type, "cgroup2") : !strcmp(type, "cgroup") && has_word(options, controller(h));
        if (!found) continue;
        snprintf(ret_group, PATH_SIZE, "%s", group);
        snprintf(ret_point, PATH_SIZE, "%s", point);
    }
    fclose(f);
    return found;
}

typedef void visit_fn(void *ctx, const char *root, const char *folder);

/* Visits the process's group and all above it that the mount shows, innermost first. */
static void walk_groups(const char *root, hierarchy h, visit_fn *visit, void *ctx) {
    char own[PATH_SIZE], group[PATH_SIZE] = "/", point[PATH_SIZE], folder[2 * PATH_SIZE];
    if (!own_group(root, h, own)) return;
    if (!find_mount(root, h, group, point))
        snprintf(point, sizeof point, "/sys/fs/cgroup%s%s", h == V2 ? "" : "/", h == V2 ? "" : controller(h));
    size_t n = strcmp(group, "/") ? strlen(group) : 0;
    const char *below = own;
    if (strncmp(own, group, n) || (n && own[n] && own[n] != '/') || strstr(own, "/..")) below = "";
    else below = own + n;
    snprintf(folder, sizeof folder, "%s%s", point, below);
    size_t end = strlen(folder), least = strlen(point);
    while (end > least && folder[end - 1] == '/') folder[--end] = 0;
    for (;;) {
        visit(ctx, root, folder);
        if (end <= least) return;
        while (end > least && folder[end - 1] != '/') end--;
        while (end > least && folder[end - 1] == '/') end--;
        folder[end] = 0;
    }
}

static bool group_line(const char *root, const char *folder, const char *file, char *line, int size) {
    char path[2 * PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path) return false;
    return first_line(root, path, line, size);
}

static void lower_quota(sl_machine *m, double cpus) {
    if (cpus > 0 && (m->cpus_quota == 0 || cpus < m->cpus_quota)) m->cpus_quota = cpus;
}

static void lower_memory(sl_machine *m, const char *text) {
    char *end;
    unsigned long long limit = strtoull(text, &end, 10);
    if (end == text || (m->memory_total && limit >= m->memory_total)) return; /* "max", or no limit in fact */
    if (m->memory_limited && limit >= m->memory_limit) return;
    m->memory_limit = limit;
    m->memory_limited = true;
}

static void visit_v2(void *ctx, const char *root, const char *folder) {
    char line[128];
    double quota, period;
    if (group_line(root, folder, "cpu.max", line, sizeof line) && sscanf(line, "%lf %lf", &quota, &period) == 2 &&
        period > 0)
        lower_quota(ctx, quota / period);
    if (group_line(root, folder, "memory.max", line, sizeof line)) lower_memory(ctx, line);
}

static void visit_v1_cpu(void *ctx, const char *root, const char *folder) {
    char line[128];
    if (!group_line(root, folder, "cpu.cfs_quota_us", line, sizeof line)) return;
    double quota = strtod(line, NULL);
    if (!group_line(root, folder, "cpu.cfs_period_us", line, sizeof line)) return;
    double period = strtod(line, NULL);
    if (quota > 0 && period > 0) lower_quota(ctx, quota / period);
}

static void visit_v1_memory(void *ctx, const char *root, const char *folder) {
    char line[128];
    if (group_line(root, folder, "memory.limit_in_bytes", line, sizeof line)) lower_memory(ctx, line);
}

void sl_machine_read_at(const char *root, sl_machine *ret) {
    sl_machine m = {0};
    char text[1024];
    find_value(root, "/proc/cpuinfo", "model name", m.cpu_model, sizeof m.cpu_model);
    if (first_line(root, "/sys/devices/system/cpu/online", text, sizeof text)) m.cpus_online = count_list(text);
    if (find_value(root, "/proc/self/status", "Cpus_allowed_list", text, sizeof text))
        m.cpus_affinity = count_list(text);
    if (m.cpus_online < 1) m.cpus_online = m.cpus_affinity > 1 ? m.cpus_affinity : 1;
    if (m.cpus_affinity < 1 || m.cpus_affinity > m.cpus_online) m.cpus_affinity = m.cpus_online;
    if (find_value(root, "/proc/meminfo", "MemTotal", text, sizeof text))
        m.memory_total = strtoull(text, NULL, 10) * 1024;
    m.memory_limit = m.memory_total;

    walk_groups(root, V2, visit_v2, &m);
    walk_groups(root, V1_CPU, visit_v1_cpu, &m);
    walk_groups(root, V1_MEMORY, visit_v1_memory, &m);

    m.threads = m.cpus_affinity;
    if (m.cpus_quota > 0 && m.cpus_quota < m.threads) m.threads = (int)m.cpus_quota;
    if (m.threads < 1) m.threads = 1;
    *ret = m;
}

void sl_machine_read(sl_machine *ret) { sl_machine_read_at("", ret); }

/* The innermost group that counts throttling: it is the one whose quota stops this process. */
static void visit_throttled(void *ctx, const char *root, const char *folder) {
    double *seconds = ctx;
    char path[2 * PATH_SIZE], text[64];
    if (*seconds > 0 || snprintf(path, sizeof path, "%s/cpu.stat", folder) >= (int)sizeof path) return;
    if (find_value(root, path, "throttled_usec", text, sizeof text)) *seconds = strtod(text, NULL) * 1e-6;
    else if (find_value(root, path, "throttled_time", text, sizeof text)) *seconds = strtod(text, NULL) * 1e-9;
}

static int64_t count_fds(void) {
    DIR *d = opendir("/proc/self/fd");
    if (!d) return 0;
    int64_t count = -1; /* the folder itself */
    for (struct dirent *entry; (entry = readdir(d));) count += entry->d_name[0] != '.';
    closedir(d);
    return count;
}

void sl_process_usage_read(sl_process_usage *ret) {
    sl_process_usage u = {0};
    struct rusage usage;
    struct rlimit files;
    char text[1024];
    getrusage(RUSAGE_SELF, &usage);
    u.cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    u.minor_faults = (uint64_t)usage.ru_minflt;
    u.major_faults = (uint64_t)usage.ru_majflt;
    if (first_line("", "/proc/self/stat", text, sizeof text) && strrchr(text, ')')) {
        unsigned long long start, bytes, pages; /* fields 22, 23, 24; the name in brackets is field 2 */
        if (sscanf(strrchr(text, ')') + 1, "%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%llu%llu%llu",
                   &start, &bytes, &pages) == 3) {
            u.virtual_bytes = bytes;
            u.resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
            u.start_time = (double)start / (double)sysconf(_SC_CLK_TCK);
        }
    }
    if (find_value("", "/proc/stat", "btime", text, sizeof text)) u.start_time += strtod(text, NULL);
    u.open_fds = count_fds();
    if (!getrlimit(RLIMIT_NOFILE, &files)) u.max_fds = (int64_t)files.rlim_cur;
    walk_groups("", V2, visit_throttled, &u.throttled_seconds);
    walk_groups("", V1_CPU, visit_throttled, &u.throttled_seconds);
    *ret = u;
}
