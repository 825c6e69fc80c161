#include "cli/default.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cuts the last part off a path: "/usr/bin/sluice" becomes "/usr/bin", and a part of "/" stays "/". */
static void cut(char *path) {
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path] = 0;
}

/* FOLDER/NAME, without a second slash after the root. */
static char *below(const char *folder, const char *name, sl_arena *arena) {
    size_t n = strlen(folder), m = strlen(name);
    char *path = sl_arena_alloc(arena, SL_MEM_OTHER, n + m + 2);
    if (path) snprintf(path, n + m + 2, "%s/%s", folder[n - 1] == '/' ? "" : folder, name);
    return path;
}

sl_status sl_default_model(const char *program, sl_arena *arena, const char **ret, sl_error *e) {
    char folder[PATH_MAX];
    if (!realpath(program, folder))
        return sl_fail_param(e, SL_MISUSE, "model",
                             "no model given, and where the default model would be is not known (%s: %s): name a .gguf "
                             "file or a folder with config.json",
                             program, strerror(errno));
    cut(folder);
    const char *beside = below(folder, "default.gguf", arena);
    cut(folder);
    const char *installed = below(folder, "share/sluice/default.gguf", arena);
    if (!beside || !installed) return sl_fail(e, SL_NOMEM, "out of memory");
    const char *found = access(beside, F_OK) == 0 ? beside : access(installed, F_OK) == 0 ? installed : NULL;
    if (!found)
        return sl_fail_param(e, SL_MISUSE, "model",
                             "no model given, and the default model is neither %s nor %s: name a .gguf file or a "
                             "folder with config.json, or put "
                             "models/default.gguf of Sluice's sources there",
                             beside, installed);
    *ret = found;
    return SL_OK;
}

static bool is_gguf(const char *path) {
    char magic[4];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    ssize_t n = read(fd, magic, sizeof magic);
    close(fd);
    return n == (ssize_t)sizeof magic && memcmp(magic, "GGUF", sizeof magic) == 0;
}

/* A folder with config.json, or a link to one. */
static bool is_folder(const char *path) {
    char config[PATH_MAX];
    int n = snprintf(config, sizeof config, "%s/config.json", path);
    return n > 0 && n < (int)sizeof config && access(config, F_OK) == 0;
}

bool sl_model_like(const char *argument) {
    size_t n = strlen(argument);
    struct stat st;
    if (n > 5 && strcmp(argument + n - 5, ".gguf") == 0) return true;
    if (stat(argument, &st) != 0) return false;
    return S_ISREG(st.st_mode) ? is_gguf(argument) : S_ISDIR(st.st_mode) && is_folder(argument);
}
