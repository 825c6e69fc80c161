/* Files that are there whole or not at all.
 *
 * A new file has no name until it is complete (O_TMPFILE), so that nothing is left of a run that ends in any way, SIGKILL
 * and a power cut included. Where the file system cannot do that it is called PATH.part meanwhile. Committing brings the
 * bytes to the disk before the name, and the name before success is reported. */
#include "convert/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The folder that a path is in, on the heap. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return !slash ? sl_strdup(".") : slash == path ? sl_strdup("/") : sl_strndup(path, (size_t)(slash - path));
}

static char *with(const char *path, const char *suffix) {
    size_t n = strlen(path), m = strlen(suffix);
    char *both = sl_malloc(n + m + 1);
    if (both) {
        memcpy(both, path, n);
        memcpy(both + n, suffix, m + 1);
    }
    return both;
}

sl_status sl__output_room(const char *path, uint64_t bytes, sl_error *e) {
    struct statvfs fs;
    char *folder = folder_of(path);
    if (!folder) return sl_fail(e, SL_NOMEM, "out of memory for %s", path);
    bool known = statvfs(folder, &fs) == 0;
    int error = errno;
    sl_status s = SL_OK;
    uint64_t room = known ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
    if (!known) s = sl_fail(e, SL_IO, "%s: its folder %s: %s", path, folder, strerror(error));
    else if (room < bytes)
        s = sl_fail(e, SL_IO, "%s: the file needs %.1f MiB, and %.1f MiB are free on the disk", path, (double)bytes / 1048576,
                    (double)room / 1048576);
    sl_free(folder);
    return s;
}

static sl_status open_unnamed(const char *path, sl__output *o, sl_error *e) {
    char *folder = folder_of(path);
    if (!folder) return sl_fail(e, SL_NOMEM, "out of memory for %s", path);
    o->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    sl_free(folder);
    return SL_OK;
}

static sl_status open_named(const char *path, sl__output *o, sl_error *e) {
    o->temporary = with(path, ".part");
    if (!o->temporary) return sl_fail(e, SL_NOMEM, "out of memory for %s", path);
    o->fd = open(o->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    if (o->fd >= 0) return SL_OK;
    sl_status s =
        errno == EEXIST
            ? sl_fail(e, SL_INVALID, "%s is there already: another conversion is running, or one was cut off; remove it then",
                      o->temporary)
            : sl_fail(e, SL_IO, "%s: %s", o->temporary, strerror(errno));
    sl_free(o->temporary);
    o->temporary = NULL;
    return s;
}

sl_status sl__output_open(const char *path, uint64_t bytes, sl__output *ret, sl_error *e) {
    sl__output o = {.fd = -1, .path = sl_strdup(path)};
    if (!o.path) return sl_fail(e, SL_NOMEM, "out of memory for %s", path);
    sl_status s = open_unnamed(path, &o, e);
    if (s == SL_OK && o.fd < 0) s = open_named(path, &o, e);
    if (s == SL_OK && fallocate(o.fd, 0, 0, (off_t)bytes) != 0 && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT))
        s = sl_fail(e, SL_IO, "%s: no room for %.1f MiB: %s", path, (double)bytes / 1048576, strerror(errno));
    if (s == SL_OK) *ret = o;
    else sl__output_drop(&o);
    return s;
}

sl_status sl__output_write(sl__output *o, const void *data, size_t size, sl_error *e) {
    const char *p = data;
    while (size) {
        ssize_t n = write(o->fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return sl_fail(e, SL_IO, "%s: %s", o->path, n < 0 ? strerror(errno) : "nothing more can be written");
        p += n;
        size -= (size_t)n;
    }
    return SL_OK;
}

sl_status sl__output_zeros(sl__output *o, size_t size, sl_error *e) {
    static const char zeros[64];
    sl_status s = SL_OK;
    for (; size && s == SL_OK; size -= size < sizeof zeros ? size : sizeof zeros)
        s = sl__output_write(o, zeros, size < sizeof zeros ? size : sizeof zeros, e);
    return s;
}

/* Gives an unnamed file its name: the final one, or (force) one from which it is renamed over the final one. */
static sl_status name_it(sl__output *o, bool force, sl_error *e) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", o->fd);
    if (linkat(AT_FDCWD, self, AT_FDCWD, o->path, AT_SYMLINK_FOLLOW) == 0) return SL_OK;
    if (errno != EEXIST || !force)
        return errno == EEXIST ? sl_fail(e, SL_INVALID, "%s is there already (--force replaces it)", o->path)
                               : sl_fail(e, SL_IO, "%s: %s", o->path, strerror(errno));
    o->temporary = with(o->path, ".part");
    if (!o->temporary) return sl_fail(e, SL_NOMEM, "out of memory for %s", o->path);
    if (linkat(AT_FDCWD, self, AT_FDCWD, o->temporary, AT_SYMLINK_FOLLOW) == 0) return SL_OK;
    sl_status s = sl_fail(e, SL_IO, "%s: %s", o->temporary, strerror(errno));
    sl_free(o->temporary);
    o->temporary = NULL;
    return s;
}

static sl_status sync_folder(const char *path, sl_error *e) {
    char *folder = folder_of(path);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    sl_free(folder);
    if (fd < 0) return sl_fail(e, SL_IO, "%s: its folder cannot be opened: %s", path, strerror(errno));
    bool done = fsync(fd) == 0 || errno == EINVAL || errno == EROFS; /* some file systems have nothing to do here */
    int error = errno;
    close(fd);
    return done ? SL_OK : sl_fail(e, SL_IO, "%s: %s", path, strerror(error));
}

sl_status sl__output_commit(sl__output *o, bool force, sl_error *e) {
    off_t size = lseek(o->fd, 0, SEEK_CUR);
    /* What was reserved and not needed goes. */
    if (size < 0 || ftruncate(o->fd, size) != 0 || fsync(o->fd) != 0) return sl_fail(e, SL_IO, "%s: %s", o->path, strerror(errno));
    sl_status s = o->temporary ? SL_OK : name_it(o, force, e);
    if (s != SL_OK) return s;
    if (o->temporary) {
        if (!force && access(o->path, F_OK) == 0) return sl_fail(e, SL_INVALID, "%s is there already (--force replaces it)", o->path);
        if (rename(o->temporary, o->path) != 0) return sl_fail(e, SL_IO, "%s: %s", o->path, strerror(errno));
        sl_free(o->temporary);
        o->temporary = NULL;
    }
    return sync_folder(o->path, e);
}

void sl__output_drop(sl__output *o) {
    if (o->fd >= 0) close(o->fd);
    if (o->temporary) unlink(o->temporary);
    sl_free(o->temporary);
    sl_free(o->path);
    *o = (sl__output){.fd = -1};
}
