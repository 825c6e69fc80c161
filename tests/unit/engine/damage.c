#include "rig.h"

#include "base/map.h"

#include <fcntl.h>

#include "../run.h"

/* A program of its own: a process that had a damaged file stays one that had. */

static rig g;
static atomic_int told_of_it;

static void on_damage(void *arg) {
    (void)arg;
    atomic_fetch_add(&told_of_it, 1);
}

/* A copy of a checkpoint that can be cut short. */
static void copy(const char *checkpoint, char path[64]) {
    char from[512], block[65536];
    snprintf(from, sizeof from, "%s/reference/checkpoints/%s", getenv("SLUICE_TESTS"), checkpoint);
    strcpy(path, "/tmp/sluice-damage-XXXXXX.gguf");
    int in = open(from, O_RDONLY | O_CLOEXEC), out = mkstemps(path, 5);
    ck_assert(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, block, sizeof block)) > 0;) ck_assert_int_eq(write(out, block, (size_t)n), n);
    close(in);
    close(out);
}

/* What the request gets from the whole file. */
static void ask_the_whole(const asked *a, told *ret) {
    static rig whole;
    rig_load(&whole, "mixtral-gqa.gguf");
    rig_start(&whole);
    client *c = rig_ask(&whole, &a->spec);
    ck_assert_int_eq(c->finish, SL_FINISH_LENGTH);
    *ret = c->choice[0];
    client_free(c);
    rig_stop(&whole);
    rig_unload(&whole);
}

/* Promise 3: of what was computed since the file was cut nothing is told, and each request ends with an error, also those that wait. */
START_TEST(a_file_that_is_cut_while_it_is_used) {
    static asked a, b;
    static told whole;
    char path[64];
    sl_error e;
    client *c[3], *late;
    ask(&a, 10, 100);
    ask(&b, 20, 100);
    ask_the_whole(&a, &whole);
    rig_load(&g, "mixtral-gqa.gguf");
    sl_unload(&g.l);
    copy("mixtral-gqa.gguf", path);
    ck_assert_msg(sl_load(path, &g.l, &e) == SL_OK, "%s", e.message);
    g.config.model = g.l.model;
    g.config.tokenizer = g.l.tokenizer;
    g.config.threads = 2;
    g.config.max_sequences = 1;
    sl_map_guard();
    sl_map_mend(on_damage, NULL);
    rig_start(&g);

    atomic_store(&g.hold, true); /* the engine stands still after the first token */
    for (int i = 0; i < 3; i++) {
        c[i] = client_new(&g, i ? b.spec : a.spec);
        ck_assert_int_eq(client_submit(&g, c[i]), SL_OK);
        if (i == 0) sem_wait(&g.news);
    }
    ck_assert_int_eq(truncate(path, 4096), 0);
    atomic_store(&g.hold, false);
    rig_wait(&g, 3);

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(c[i]->finish, SL_FINISH_ERROR);
        ck_assert_ptr_nonnull(strstr(c[i]->failure, "cannot be read any more"));
    }
    int told_tokens = c[0]->choice[0].tokens;
    ck_assert(told_tokens >= 1 && told_tokens < 100);
    ck_assert_mem_eq(c[0]->choice[0].id, whole.id, (size_t)told_tokens * sizeof(int32_t));
    ck_assert_int_eq(c[1]->choice[0].tokens + c[2]->choice[0].tokens, 0);
    ck_assert_int_eq(atomic_load(&told_of_it), 1);
    ck_assert_str_eq(sl_map_damaged(), path);

    late = client_new(&g, a.spec); /* nothing new is taken */
    ck_assert_int_eq(client_submit(&g, late), SL_CANCELLED);
    client_free(late);
    for (int i = 0; i < 3; i++) client_free(c[i]);
    rig_stop(&g);
    rig_unload(&g);
    unlink(path);
}
END_TEST

int main(void) { return RUN_TESTS("engine/damage", 120, a_file_that_is_cut_while_it_is_used); }
