#include "experts/groups.h"

#include <check.h>
#include <stdlib.h>

enum { EXPERTS = 5, USED = 2, ROWS = 6, FF = 96 };

typedef struct fixture {
    sl_groups g;
    sl_group group[EXPERTS + 1];
    int32_t row[ROWS * (USED + 1)], next[EXPERTS];
    float weight[ROWS * USED];
    void *h;
    sl_ffn_weights experts[EXPERTS], shared;
} fixture;

static sl_hparams hparams(void) {
    return (sl_hparams){.experts = EXPERTS, .experts_used = USED, .expert_ff = FF, .shared_ff = 64, .ff = 32};
}

static fixture *fixture_new(void) {
    fixture *f = calloc(1, sizeof *f);
    sl_hparams hp = hparams();
    for (int i = 0; i < EXPERTS; i++) f->experts[i].down.cols = FF;
    f->shared.down.cols = 64;
    f->g = (sl_groups){.group = f->group, .row = f->row, .weight = f->weight, .next = f->next, .max_rows = ROWS, .used = USED,
                       .experts = EXPERTS, .h_room = sl_groups_h_room(&hp, ROWS)};
    size_t bytes;
    ck_assert(sl_planes_bytes(f->g.h_room, &bytes));
    f->h = aligned_alloc(64, (bytes + 63) / 64 * 64);
    f->g.h = sl_planes_in(f->h, f->g.h_room, 0);
    for (int i = 0; i < ROWS; i++) f->row[ROWS * USED + i] = i;
    return f;
}

static void fixture_free(fixture *f) {
    free(f->h);
    free(f);
}

static const int32_t expert[ROWS * USED] = {1, 4, 0, 1, 1, 4, 2, 4, 0, 4, 1, 2};
static const float weight[ROWS * USED] = {10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61};

static void check_group(const sl_group *g, int e, int n, const int *rows, const float *weights) {
    ck_assert_int_eq(g->expert, e);
    ck_assert_int_eq(g->n, n);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(g->row[i], rows[i]);
        ck_assert(g->weight[i] == weights[i]);
    }
}

START_TEST(rows_by_expert_in_order) {
    fixture *f = fixture_new();
    sl_groups_reset(&f->g);
    sl_groups_route(&f->g, f->experts, ROWS, expert, weight);
    ck_assert_int_eq(f->g.count, 4); /* nobody chose expert 3 */
    check_group(&f->group[0], 0, 2, (const int[]){1, 4}, (const float[]){20, 50});
    check_group(&f->group[1], 1, 4, (const int[]){0, 1, 2, 5}, (const float[]){10, 21, 30, 60});
    check_group(&f->group[2], 2, 2, (const int[]){3, 5}, (const float[]){40, 61});
    check_group(&f->group[3], 4, 4, (const int[]){0, 2, 3, 4}, (const float[]){11, 31, 41, 51});
    for (int i = 0; i < 4; i++) ck_assert_ptr_eq(f->group[i].w, &f->experts[f->group[i].expert]);
    fixture_free(f);
}
END_TEST

START_TEST(shared_expert_is_last_and_has_all_rows) {
    fixture *f = fixture_new();
    float gate[ROWS] = {0};
    sl_groups_reset(&f->g);
    sl_groups_route(&f->g, f->experts, ROWS, expert, weight);
    sl_groups_all(&f->g, &f->shared, ROWS, gate);
    const sl_group *last = &f->group[f->g.count - 1];
    ck_assert_int_eq(last->expert, -1);
    ck_assert_int_eq(last->n, ROWS);
    ck_assert_ptr_eq(last->weight, gate);
    for (int i = 0; i < ROWS; i++) ck_assert_int_eq(last->row[i], i);
    fixture_free(f);
}
END_TEST

START_TEST(room_suffices_and_groups_do_not_overlap) {
    fixture *f = fixture_new();
    sl_groups_reset(&f->g);
    sl_groups_route(&f->g, f->experts, ROWS, expert, weight);
    sl_groups_all(&f->g, &f->shared, ROWS, NULL);
    const float *end = f->g.h.f;
    for (int i = 0; i < f->g.count; i++) {
        const sl_planes *h = &f->group[i].h;
        ck_assert(h->f >= end);
        ck_assert_int_eq((h->f - f->g.h.f) % 32, 0);
        ck_assert_int_eq(h->scale - f->g.h.scale, (h->f - f->g.h.f) / 32);
        end = h->f + (size_t)f->group[i].n * (size_t)h->cols;
    }
    ck_assert(end <= f->g.h.f + f->g.h_room);
    fixture_free(f);
}
END_TEST

int main(void) {
    sl_error e;
    if (sl_kernels_choose(getenv("SLUICE_TIER"), &e) != SL_OK) return 1;
    Suite *s = suite_create("groups");
    TCase *t = tcase_create("groups");
    tcase_add_test(t, rows_by_expert_in_order);
    tcase_add_test(t, shared_expert_is_last_and_has_all_rows);
    tcase_add_test(t, room_suffices_and_groups_do_not_overlap);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
