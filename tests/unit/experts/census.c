#include "experts/census.h"

#include "base/alloc.h"

#include <stdlib.h>

#include "../run.h"

/* Three layers of four experts, two a token; the middle layer does not route. Ids 7 and 2 have a place in the tables. */
enum { LAYERS = 3, EXPERTS = 4, USED = 2, DOMAINS = 2, KINDS = 3, VOCAB = 10, ROWS = 3 };

static const bool routed[LAYERS] = {true, false, true};
static const int32_t tokens[2] = {7, 2};
static const sl_census_config config = {LAYERS, routed, EXPERTS, USED, DOMAINS, KINDS, VOCAB, tokens, 2, ROWS};
static sl_error e;

static sl_census *new_census(void) {
    sl_census *c;
    ck_assert_int_eq(sl_census_new(&config, &c, &e), SL_OK);
    return c;
}

/* Row by row: what it is, and its experts in the first and in the last layer. */
typedef struct seen {
    sl_census_row row;
    int32_t first[USED], last[USED];
} seen;

static void step(sl_census *c, const seen *s, int rows) {
    int32_t first[ROWS * USED], last[ROWS * USED];
    sl_census_row row[ROWS];
    for (int i = 0; i < rows; i++) {
        row[i] = s[i].row;
        for (int k = 0; k < USED; k++) first[i * USED + k] = s[i].first[k], last[i * USED + k] = s[i].last[k];
    }
    sl_census_routed(c, 0, rows, first, NULL);
    sl_census_routed(c, 2, rows, last, NULL);
    sl_census_add(c, row, rows);
}

static void fill(sl_census *c) {
    static const seen one[3] = {{{.domain = -1, .id = {9, 9, 9}}, {0, 1}, {0, 1}}, /* what begins every text: not counted */
                                {{0, 0, 1, {7, 3, 2}}, {0, 1}, {2, 3}},
                                {{0, 1, 2, {2, 7, 7}}, {1, 3}, {0, 3}}};
    static const seen two[2] = {{{1, 0, 1, {7, 7, 5}}, {0, 1}, {0, 2}}, {{1, 0, 0, {5, 2, -1}}, {2, 3}, {0, 2}}};
    step(c, one, 3);
    step(c, two, 2);
}

#define EXPECT(counts, ...)                                                                                            \
    do {                                                                                                               \
        static const int want[EXPERTS] = __VA_ARGS__;                                                                  \
        for (int i = 0; i < EXPERTS; i++) ck_assert_int_eq((int)(counts)[i], want[i]);                                 \
    } while (0)

START_TEST(counts_what_was_chosen) {
    sl_census *c = new_census();
    fill(c);
    ck_assert_int_eq(sl_census_layers(c), 2);
    ck_assert_int_eq(sl_census_layer(c, 0), 0);
    ck_assert_int_eq(sl_census_layer(c, 1), 2);
    ck_assert_uint_eq(sl_census_rows(c, -1, -1), 4);
    ck_assert_uint_eq(sl_census_rows(c, 0, -1), 2);
    ck_assert_uint_eq(sl_census_rows(c, 0, 1), 1);
    ck_assert_uint_eq(sl_census_rows(c, -1, 0), 3);
    EXPECT(sl_census_load(c, 0, 0, 0), {1, 1, 0, 0});
    EXPECT(sl_census_load(c, 0, 1, 0), {0, 1, 0, 1});
    EXPECT(sl_census_load(c, 1, 0, 0), {1, 1, 1, 1});
    EXPECT(sl_census_load(c, 1, 0, 1), {2, 0, 2, 0});
    EXPECT(sl_census_load(c, 1, 1, 1), {0, 0, 0, 0});
    ck_assert_uint_eq(sl_census_kind_rows(c, 0), 1);
    ck_assert_uint_eq(sl_census_kind_rows(c, 1), 2);
    EXPECT(sl_census_kind(c, 1, 0), {2, 2, 0, 0});
    EXPECT(sl_census_kind(c, 1, 1), {1, 0, 2, 1});
    sl_census_free(c);
}
END_TEST

START_TEST(counts_pairs_and_paths) {
    sl_census *c = new_census();
    fill(c);
    ck_assert_uint_eq(sl_census_pair(c, 0, 0, 1), 2);
    ck_assert_uint_eq(sl_census_pair(c, 0, 1, 0), 2);
    ck_assert_uint_eq(sl_census_pair(c, 0, 3, 1), 1);
    ck_assert_uint_eq(sl_census_pair(c, 0, 2, 3), 1);
    ck_assert_uint_eq(sl_census_pair(c, 0, 0, 3), 0);
    ck_assert_uint_eq(sl_census_pair(c, 1, 2, 0), 2);
    EXPECT(sl_census_path(c, 0, 0), {1, 0, 2, 1}); /* rows 2-3 and 0-2 */
    EXPECT(sl_census_path(c, 0, 1), {2, 0, 2, 2});
    EXPECT(sl_census_path(c, 0, 2), {1, 0, 1, 0});
    EXPECT(sl_census_path(c, 0, 3), {2, 0, 1, 1});
    sl_census_free(c);
}
END_TEST

START_TEST(counts_tokens_of_the_tables_and_says_what_others_there_were) {
    sl_census *c = new_census();
    fill(c);
    ck_assert_int_eq(sl_census_tokens(c), 2);
    ck_assert_int_eq(sl_census_token(c, 0), 7);
    EXPECT(sl_census_of_token(c, SL_CENSUS_INPUT, 0, 0), {2, 2, 0, 0});
    EXPECT(sl_census_of_token(c, SL_CENSUS_INPUT, 0, 1), {1, 0, 2, 1});
    EXPECT(sl_census_of_token(c, SL_CENSUS_INPUT, 1, 0), {0, 1, 0, 1});
    EXPECT(sl_census_of_token(c, SL_CENSUS_PREDICTED, 0, 0), {1, 2, 0, 1});
    EXPECT(sl_census_of_token(c, SL_CENSUS_PREDICTED, 1, 1), {1, 0, 1, 0});
    EXPECT(sl_census_of_token(c, SL_CENSUS_NEXT, 1, 0), {1, 1, 0, 0});
    static const struct { sl_census_side side; int32_t id; int rows; } all[] = {
        {SL_CENSUS_INPUT, 7, 2}, {SL_CENSUS_INPUT, 2, 1}, {SL_CENSUS_INPUT, 5, 1}, {SL_CENSUS_INPUT, 9, 0}, {SL_CENSUS_PREDICTED, 7, 2},
        {SL_CENSUS_PREDICTED, 3, 1}, {SL_CENSUS_NEXT, 5, 1}, {SL_CENSUS_NEXT, 7, 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ck_assert_int_eq((int)sl_census_seen(c, all[i].side, all[i].id), all[i].rows);
    sl_census_free(c);
}
END_TEST

START_TEST(one_layer_and_one_expert) {
    static const bool one[1] = {true};
    sl_census_config small = {1, one, 1, 1, 1, 1, 1, NULL, 0, 1};
    sl_census *c;
    ck_assert_int_eq(sl_census_new(&small, &c, &e), SL_OK);
    sl_census_routed(c, 0, 1, (const int32_t[]){0}, NULL);
    sl_census_add(c, &(sl_census_row){.id = {0, 0, -1}}, 1);
    ck_assert_uint_eq(sl_census_load(c, 0, 0, 0)[0], 1);
    sl_census_free(c);
}
END_TEST

/* Promise 4 */
START_TEST(memory_is_what_was_said) {
    size_t bytes = sl_census_bytes(&config);
    sl_census_config more = config;
    more.token = (const int32_t[]){7, 2, 3};
    more.tokens = 3;
    ck_assert_uint_eq(sl_census_bytes(&more), bytes + sl_census_table_bytes(&config) + sizeof(int32_t));
    ck_assert_uint_eq(sl_census_table_bytes(&config), 3 * 2 * EXPERTS * sizeof(uint32_t));
    for (long n = 1;; n++) { /* each allocation in its turn does not succeed */
        sl_census *c = NULL;
        sl_alloc_fail_at(n);
        sl_status st = sl_census_new(&config, &c, &e);
        sl_alloc_fail_at(0);
        if (!st) {
            sl_census_free(c);
            break;
        }
        ck_assert_int_eq(st, SL_NOMEM);
        ck_assert_ptr_null(c);
    }
}
END_TEST

int main(void) {
    return RUN_TESTS("experts/census", 20, counts_what_was_chosen, counts_pairs_and_paths,
                     counts_tokens_of_the_tables_and_says_what_others_there_were,
                     one_layer_and_one_expert, memory_is_what_was_said);
}
