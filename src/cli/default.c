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

/* Where a model called `name` would be. */
typedef struct places {
    const char *beside, *installed; /* the program; the arena's */
    const char *found;              /* one of them; NULL: it is at neither */
} places;

static sl_status look(const char *program, const char *name, sl_arena *arena, places *ret, sl_error *e) {
    char folder[PATH_MAX], shared[64];
    if (!realpath(program, folder))
        return sl_fail_param(e, SL_MISUSE, "model",
                             "no model given, and where the default model would be is not known (%s: %s): name a .gguf "
                             "file or a folder with config.json",
                             program, strerror(errno));
    snprintf(shared, sizeof shared, "share/sluice/%s", name);
    cut(folder);
    ret->beside = below(folder, name, arena);
    cut(folder);
    ret->installed = below(folder, shared, arena);
    if (!ret->beside || !ret->installed) return sl_fail(e, SL_NOMEM, "out of memory");
    ret->found = access(ret->beside, F_OK) == 0 ? ret->beside : access(ret->installed, F_OK) == 0 ? ret->installed : NULL;
    return SL_OK;
}

sl_status sl_default_model(const char *program, sl_arena *arena, const char **ret, sl_error *e) {
    places p;
    sl_status st = look(program, "default.gguf", arena, &p, e);
    if (st) return st;
    if (!p.found)
        return sl_fail_param(e, SL_MISUSE, "model",
                             "no model given, and the default model is neither %s nor %s: name a .gguf file or a "
                             "folder with config.json, or put "
                             "models/default.gguf of Sluice's sources there",
                             p.beside, p.installed);
    *ret = p.found;
    return SL_OK;
}

/* A build tree's link leads to SOURCES/models/cache/NAME: then SOURCES/models/fetch puts it there. "": not known. */
static void fetch_of(const char *link, char path[PATH_MAX]) {
    ssize_t n = readlink(link, path, PATH_MAX - 16);
    path[n > 0 ? n : 0] = 0;
    cut(path);
    cut(path);
    if (path[0]) strcat(path, "/fetch");
    if (access(path, F_OK) != 0) path[0] = 0;
}

sl_status sl_talking_model(const char *program, sl_arena *arena, const char **ret, sl_error *e) {
    places p;
    char fetch[PATH_MAX];
    sl_status st = look(program, "talking.gguf", arena, &p, e);
    if (st) return st;
    fetch_of(p.beside, fetch);
    if (!p.found && fetch[0])
        return sl_fail_param(e, SL_MISUSE, "model",
                             "no model given, and the one that talks is not there yet; this gets it (93 MB): sh %.300s", fetch);
    if (!p.found)
        return sl_fail_param(e, SL_MISUSE, "model",
                             "no model given, and one that talks is neither %.120s nor %.120s: name a .gguf file or a folder with "
                             "config.json; `sh models/fetch` in Sluice's sources gets one and prints its path",
                             p.beside, p.installed);
    *ret = p.found;
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
