#include "engine/pages.h"

#include <stdbool.h>
#include <string.h>

#include "../run.h"

enum { TOTAL = 50 };
static sl_arena *arena;
static sl__pages p;

static void make(bool keep) {
    sl_error e;
    arena = sl_arena_new();
    ck_assert_int_eq(sl__pages_init(&p, TOTAL, keep, arena, &e), SL_OK);
}

static void unmake(void) { arena = sl_arena_free(arena); }

/* A page's tokens. */
static const int32_t *page(int what) {
    static int32_t token[SL_PAGE];
    for (int i = 0; i < SL_PAGE; i++) token[i] = i < SL_PAGE - 1 ? i : what;
    return token;
}

/* A known page, held once. */
static int32_t known(int32_t above, uint64_t salt, int what) {
    int32_t i = sl__pages_take(&p);
    ck_assert_int_ge(i, 0);
    ck_assert_int_eq(sl__pages_publish(&p, i, above, salt, page(what)), i);
    return i;
}

START_TEST(each_page_is_given_once) {
    make(true);
    bool seen[TOTAL] = {0};
    for (int i = 0; i < TOTAL; i++) {
        int32_t got = sl__pages_take(&p);
        ck_assert(got >= 0 && got < TOTAL && !seen[got]);
        seen[got] = true;
    }
    ck_assert_int_eq(sl__pages_take(&p), -1);
    ck_assert_int_eq(sl__kept_available(&p.kept), 0);
    sl__pages_drop(&p, 17);
    ck_assert_int_eq(sl__pages_take(&p), 17);
    unmake();
}
END_TEST

START_TEST(a_shared_page_is_free_when_its_last_holder_dropped_it) {
    make(true);
    int32_t i = sl__pages_take(&p);
    sl__pages_share(&p, i);
    sl__pages_share(&p, i);
    for (int k = 0; k < 2; k++) {
        sl__pages_drop(&p, i);
        ck_assert_int_eq(p.kept.free_count, TOTAL - 1);
    }
    sl__pages_drop(&p, i);
    ck_assert_int_eq(p.kept.free_count, TOTAL);
    ck_assert_int_eq(p.kept.kept_count, 0); /* nobody knows what is in it */
    unmake();
}
END_TEST

START_TEST(a_known_page_is_kept_and_found) {
    make(true);
    int32_t a = known(SL__ROOT, 0, 1), b = known(a, 0, 2);
    ck_assert_int_eq(sl__pages_find(&p, a, 0, page(2)), b); /* while it is held too */
    sl__pages_drop(&p, b);
    sl__pages_drop(&p, b);
    sl__pages_drop(&p, a);
    ck_assert_int_eq(p.kept.kept_count, 2);
    ck_assert_int_eq(sl__kept_available(&p.kept), TOTAL);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(2)), -1); /* the page above counts */
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(3)), -1);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(1)), a);
    ck_assert_int_eq(sl__pages_find(&p, a, 0, page(2)), b);
    ck_assert_int_eq(p.kept.kept_count, 0);
    ck_assert_int_eq(p.kept.holders[a], 1);
    unmake();
}
END_TEST

START_TEST(two_that_compute_the_same_hold_one_page) {
    make(true);
    int32_t a = known(SL__ROOT, 0, 1), b = sl__pages_take(&p);
    ck_assert_int_eq(sl__pages_publish(&p, b, SL__ROOT, 0, page(1)), a);
    ck_assert_int_eq(p.kept.holders[a], 2);
    ck_assert_int_eq(p.kept.holders[b], 0);
    ck_assert_int_eq(p.kept.free_count, TOTAL - 1);
    unmake();
}
END_TEST

START_TEST(salts_have_nothing_in_common) {
    make(true);
    int32_t a = known(SL__ROOT, 7, 1);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(1)), -1);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 8, page(1)), -1);
    int32_t b = known(SL__ROOT, 8, 1), below = known(a, 7, 5);
    ck_assert_int_ne(a, b);
    ck_assert_int_eq(sl__pages_find(&p, b, 8, page(5)), -1);
    ck_assert_int_eq(sl__pages_find(&p, a, 7, page(5)), below);
    unmake();
}
END_TEST

/* The last page of a prefix goes first, and the prefix that was used least recently before others; free pages before all. */
START_TEST(the_least_recently_used_goes_first) {
    make(true);
    int32_t a[3], b[3], order[6], above = SL__ROOT;
    for (int i = 0; i < 3; i++) above = a[i] = known(above, 0, i);
    above = SL__ROOT;
    for (int i = 0; i < 3; i++) above = b[i] = known(above, 0, 10 + i);
    for (int i = 2; i >= 0; i--) sl__pages_drop(&p, a[i]);
    for (int i = 2; i >= 0; i--) sl__pages_drop(&p, b[i]);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(0)), a[0]); /* the first page of a is used again */
    sl__pages_drop(&p, a[0]);
    for (int i = 0; i < TOTAL - 6; i++) sl__pages_take(&p);
    ck_assert_int_eq(p.kept.free_count, 0);
    ck_assert_int_eq(p.kept.evicted, 0);
    for (int i = 0; i < 6; i++) order[i] = sl__pages_take(&p);
    const int32_t want[] = {a[2], a[1], b[2], b[1], b[0], a[0]};
    ck_assert(!memcmp(order, want, sizeof want));
    ck_assert_int_eq(p.kept.evicted, 6);
    ck_assert_int_eq(sl__pages_take(&p), -1);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(0)), -1);
    unmake();
}
END_TEST

START_TEST(a_held_page_is_never_taken) {
    make(true);
    int32_t a = known(SL__ROOT, 0, 1), b = known(a, 0, 2);
    sl__pages_drop(&p, b); /* a stays held */
    for (int i = 0; i < TOTAL - 1; i++) ck_assert_int_ne(sl__pages_take(&p), a);
    ck_assert_int_eq(sl__pages_take(&p), -1);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(1)), a);
    ck_assert_int_eq(sl__pages_find(&p, a, 0, page(2)), -1);
    unmake();
}
END_TEST

START_TEST(nothing_is_kept_when_the_cache_is_off) {
    make(false);
    int32_t a = known(SL__ROOT, 0, 1);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(1)), a); /* held: choices of one prompt */
    sl__pages_drop(&p, a);
    sl__pages_drop(&p, a);
    ck_assert_int_eq(p.kept.free_count, TOTAL);
    ck_assert_int_eq(sl__pages_find(&p, SL__ROOT, 0, page(1)), -1);
    unmake();
}
END_TEST

/* --- against a simple model ---
 * Sequences of up to DEPTH pages, each page one of CONTENTS, begun at random, grown, published, dropped and begun again, so
 * that most of what they hold is held by others, kept or lost. A prefix is its salt and contents as one number; the model
 * knows of each which page has it and when that page was last dropped. */
enum { SEQUENCES = 12, DEPTH = 7, CONTENTS = 3, SALTS = 2 };

typedef struct walker {
    bool live;
    int salt, held, known, content[DEPTH];
    int32_t page[DEPTH];
} walker;

static struct { int prefix, holders, stamp; } model[TOTAL]; /* prefix 0: not known */
static int stamp;

static int prefix_of(const walker *w, int pages) {
    int code = 1 + w->salt;
    for (int i = 0; i < pages; i++) code = code * (CONTENTS + 1) + 1 + w->content[i];
    return code;
}

static int32_t model_find(int prefix) {
    for (int i = 0; i < TOTAL; i++)
        if (model[i].prefix == prefix) return i;
    return -1;
}

static void model_drop(int32_t i, bool keep) {
    if (--model[i].holders == 0 && !keep) model[i].prefix = 0;
    if (model[i].holders == 0) model[i].stamp = ++stamp;
}

static void model_take(int32_t got) {
    int32_t want = -1;
    bool any_free = false;
    for (int i = 0; i < TOTAL; i++) {
        if (model[i].holders) continue;
        if (!model[i].prefix) any_free = true;
        else if (want < 0 || model[i].stamp < model[want].stamp) want = i;
    }
    if (got < 0) {
        ck_assert(!any_free && want < 0);
        return;
    }
    ck_assert(model[got].holders == 0 && (any_free ? model[got].prefix == 0 : got == want));
    model[got].prefix = 0;
    model[got].holders = 1;
}

static int32_t above(const walker *w, int k) { return k ? w->page[k - 1] : SL__ROOT; }

static void begin(walker *w) {
    *w = (walker){.live = true, .salt = rand() % SALTS};
    for (int i = 0; i < DEPTH; i++) w->content[i] = rand() % 4 ? 0 : rand() % CONTENTS; /* most begin alike */
    while (w->known < DEPTH) {
        int32_t want = model_find(prefix_of(w, w->known + 1));
        int32_t got = sl__pages_find(&p, above(w, w->known), (uint64_t)w->salt, page(w->content[w->known]));
        ck_assert_int_eq(got, want);
        if (got < 0) break;
        model[got].holders++;
        w->page[w->known++] = got;
    }
    w->held = w->known;
}

static void publish(walker *w, bool keep) {
    int k = w->known++;
    int32_t want = model_find(prefix_of(w, k + 1));
    int32_t got = sl__pages_publish(&p, w->page[k], above(w, k), (uint64_t)w->salt, page(w->content[k]));
    ck_assert_int_eq(got, want < 0 ? w->page[k] : want);
    model[got].prefix = prefix_of(w, k + 1);
    if (got == w->page[k]) return;
    model[got].holders++;
    model_drop(w->page[k], keep);
    w->page[k] = got;
}

static void drop_all(walker *w, bool keep) {
    while (w->held > 0) {
        int32_t i = w->page[--w->held];
        sl__pages_drop(&p, i);
        model_drop(i, keep && model[i].prefix);
    }
    w->live = false;
}

static void check_model(void) {
    int available = 0, kept = 0;
    bool right = true;
    for (int i = 0; i < TOTAL; i++) {
        right = right && p.kept.holders[i] == model[i].holders && sl__prefix_knows(&p.prefix, i) == (model[i].prefix != 0);
        available += model[i].holders == 0;
        kept += model[i].holders == 0 && model[i].prefix;
    }
    ck_assert(right && available == sl__kept_available(&p.kept) && kept == p.kept.kept_count);
}

static uint64_t always_the_same(const void *data, size_t len) {
    (void)data;
    return len - len;
}

static uint64_t two_values(const void *data, size_t len) { return ((const uint8_t *)data)[len - 4] & 1; }

START_TEST(any_history_is_as_the_model_says) {
    static walker w[SEQUENCES];
    bool keep = _i % 4 != 3;
    srand((unsigned)_i + 1);
    make(keep);
    if (_i % 4 == 1) p.prefix.hash = always_the_same; /* then the tokens decide alone */
    if (_i % 4 == 2) p.prefix.hash = two_values;
    memset(model, 0, sizeof model);
    memset(w, 0, sizeof w);
    for (int turn = 0; turn < 6000; turn++) {
        walker *one = &w[rand() % SEQUENCES];
        if (!one->live) begin(one);
        else if (rand() % 6 == 0) drop_all(one, keep);
        else if (one->known < one->held) publish(one, keep);
        else if (one->held < DEPTH) {
            int32_t got = sl__pages_take(&p);
            model_take(got);
            if (got >= 0) one->page[one->held++] = got;
            else drop_all(one, keep);
        }
        check_model();
    }
    for (int i = 0; i < SEQUENCES; i++) drop_all(&w[i], keep);
    ck_assert_int_eq(sl__kept_available(&p.kept), TOTAL);
    ck_assert(!keep || p.kept.evicted > 100);
    unmake();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/pages");
    TCase *t = tcase_create("engine/pages");
    tcase_set_timeout(t, 60);
    const TTest *const tests[] = {
        each_page_is_given_once, a_shared_page_is_free_when_its_last_holder_dropped_it, a_known_page_is_kept_and_found,
        two_that_compute_the_same_hold_one_page, salts_have_nothing_in_common, the_least_recently_used_goes_first,
        a_held_page_is_never_taken, nothing_is_kept_when_the_cache_is_off};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(t, tests[i]);
    tcase_add_loop_test(t, any_history_is_as_the_model_says, 0, 12);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
