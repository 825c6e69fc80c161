/* confine.c: what the server's threads may still do, and when that is taken from them (process/sandbox.h has how).
 *
 *   main thread (the loop)                                    loader
 *   sockets are open, keys were read                          [started first, waits]
 *   confine_loop: reads the folders of the keys,
 *     /proc and the cgroup; no attacker's calls
 *   log's thread, from here on like the loop                  confine_loader: reads everything, writes and runs nothing
 *                                                             model, tokenizer, chat template
 *                                                             confine_loaded: as the loop
 *                                                             engine's thread and workers, like it
 *   text thread
 *   confine_serving: the calls of serving alone, for all threads
 *
 * A thread has the limits on files of the one that started it, so the order is what makes every thread limited: only the loader
 * is started before the loop limits itself. Keys are allowed by their folder: Kubernetes and systemd put a new file in the place
 * of the old one, behind a symbolic link in the same folder, and SIGHUP must find it. */
#include "cli/server.h"

#include "process/sandbox.h"

#include <stdlib.h>
#include <string.h>

/* What is read while serving, beside keys: for the metrics and by the C library. The plan reads the same before. */
static const char *const of_the_system[] = {
    "/proc/self", "/proc/stat", "/proc/meminfo", "/proc/cpuinfo", "/proc/sys/vm/overcommit_memory", "/sys/fs/cgroup", "/sys/devices/system/cpu",
};
enum { OF_THE_SYSTEM = sizeof of_the_system / sizeof of_the_system[0] };

/* Unless it is one that is known, or below it. */
static void add(sl__server *v, const char *path, size_t len) {
    sl__confinement *c = &v->confinement;
    const char *copy = sl_arena_copy(v->s->arena, SL_MEM_OTHER, path, len);
    for (int i = 0; i < c->folders && copy; i++) {
        size_t known = strlen(c->folder[i]);
        if (!strncmp(c->folder[i], copy, known) && (copy[known] == '/' || !copy[known])) return;
    }
    if (copy) c->folder[c->folders++] = copy;
}

/* The folder of a file as it was named, and the one where it is now. */
static void add_folder_of(sl__server *v, const char *file) {
    char *real = file ? realpath(file, NULL) : NULL;
    const char *paths[] = {file, real};
    for (int i = 0; i < 2 && paths[i]; i++) {
        const char *slash = strrchr(paths[i], '/');
        if (!slash) add(v, ".", 1);
        else add(v, paths[i], slash == paths[i] ? 1 : (size_t)(slash - paths[i]));
    }
    free(real);
}

static bool off(const sl__server *v) { return !strcmp(v->s->sandbox, "off"); }
static bool strict(const sl__server *v) { return !strcmp(v->s->sandbox, "strict"); }
static bool confines(const sl__server *v) { return !off(v) && !sl_sandbox_hindrance(); }

/* *e is written if they are not limited. */
static void limit_files(const sl__server *v, sl_error *e) {
    const char *paths[OF_THE_SYSTEM + SL__KEY_FOLDERS];
    int count = 0;
    for (int i = 0; i < OF_THE_SYSTEM; i++) paths[count++] = of_the_system[i];
    for (int i = 0; i < v->confinement.folders; i++) paths[count++] = v->confinement.folder[i];
    sl_sandbox_files(paths, count, e);
}

void sl__confine_loop(sl__server *v) {
    sl__confinement *c = &v->confinement;
    if (!confines(v)) return;
    add_folder_of(v, v->s->http.api_key_file);
    add_folder_of(v, v->s->http.admin_key_file);
    sl_sandbox_calls(SL_SANDBOX_LOADING, &c->calls);
    limit_files(v, &c->files);
}

void sl__confine_loader(const sl__server *v) {
    static const char *const everything[] = {"/"};
    if (confines(v)) sl_sandbox_files(everything, 1, NULL);
}

void sl__confine_loaded(const sl__server *v) {
    if (confines(v)) limit_files(v, NULL);
}

void sl__confine_serving(sl__server *v) {
    sl__confinement *c = &v->confinement;
    if (confines(v) && !c->calls.code) sl_sandbox_calls(strict(v) ? SL_SANDBOX_STRICT : SL_SANDBOX_SERVING, &c->calls);
}

void sl__confine_say(const sl__server *v, sl_buffer *out) {
    const sl__confinement *c = &v->confinement;
    sl_buffer_puts(out, "sandbox  ");
    if (off(v)) {
        sl_buffer_puts(out, "off (--sandbox off): the process may open files, connect and run programs as its user may\n");
        return;
    }
    if (sl_sandbox_hindrance()) {
        sl_buffer_printf(out, "off: %s\n", sl_sandbox_hindrance());
        return;
    }
    if (c->files.code) {
        sl_buffer_printf(out, "files: NOT limited (%s)", c->files.message);
    } else {
        sl_buffer_puts(out, "files: reads ");
        for (int i = 0; i < c->folders; i++) sl_buffer_printf(out, "%s, ", c->folder[i]);
        sl_buffer_puts(out, "/proc and the cgroup, nothing else");
    }
    if (c->calls.code) sl_buffer_printf(out, "; calls: NOT limited (%s)", c->calls.message);
    else sl_buffer_printf(out, "; calls: %d of the kernel's, none that connects or starts a program%s", sl_sandbox_call_count(),
                          strict(v) ? "; any other ends the process (strict)" : "");
    sl_buffer_puts(out, " (--sandbox)\n");
}
