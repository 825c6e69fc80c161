#include "process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface grows by version; Debian 12's headers stop at 2. What a version does not know must not be asked of it. */

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define SINCE_1 ((UINT64_C(1) << 13) - 1) /* everything up to LANDLOCK_ACCESS_FS_MAKE_SYM */
#define SINCE_2_REFER (UINT64_C(1) << 13)
#define SINCE_3_TRUNCATE (UINT64_C(1) << 14)
#define SINCE_5_IOCTL_DEV (UINT64_C(1) << 15)
#define SINCE_4_BIND_AND_CONNECT_TCP UINT64_C(3)
#define SINCE_6_ABSTRACT_SOCKET_AND_SIGNAL UINT64_C(3)

typedef struct ruleset {
    uint64_t files;
    uint64_t network; /* since 4 */
    uint64_t scope;   /* since 6 */
} ruleset;

static ruleset everything(long version, size_t *ret_size) {
    ruleset r = {.files = SINCE_1};
    if (version >= 2) r.files |= SINCE_2_REFER;
    if (version >= 3) r.files |= SINCE_3_TRUNCATE;
    if (version >= 4) r.network = SINCE_4_BIND_AND_CONNECT_TCP;
    if (version >= 5) r.files |= SINCE_5_IOCTL_DEV;
    if (version >= 6) r.scope = SINCE_6_ABSTRACT_SOCKET_AND_SIGNAL;
    *ret_size = version >= 6 ? sizeof r : version >= 4 ? 2 * sizeof r.files : sizeof r.files;
    return r;
}

/* false: errno says why. What is not there cannot be read and needs no rule. */
static bool allow(int rules, const char *path) {
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return errno != EMFILE && errno != ENFILE && errno != ENOMEM;
    bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    struct landlock_path_beneath_attr rule = {.allowed_access = folder ? READS : LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = fd};
    bool done = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    int why = errno;
    close(fd);
    errno = why;
    return done;
}

sl_status sl_sandbox_files(const char *const *readable, int count, sl_error *e) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return sl_fail(e, SL_UNSUPPORTED, "the kernel has no landlock, or it is off: %s", strerror(errno));
    size_t size;
    ruleset wanted = everything(version, &size);
    int rules = (int)syscall(SYS_landlock_create_ruleset, &wanted, size, 0);
    bool good = rules >= 0;
    for (int i = 0; i < count && good; i++) good = allow(rules, readable[i]);
    good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    sl_status status = good ? SL_OK : sl_fail(e, SL_UNSUPPORTED, "landlock: %s", strerror(errno));
    if (rules >= 0) close(rules);
    return status;
}
