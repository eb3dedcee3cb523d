/* Tables of options: what a row does from text to report, and rules that hold for every row of every command. */
#include "cli/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a table of its own, with a row of each kind ---- */

typedef struct settings {
    bool flag;
    int count, level;
    int64_t depth, rank;
    double width, least_distance;
    int64_t room;
    const char *policy, *path;
    trm_option_labels labels;
    double gap[3];
    int gaps;
} settings;

static const trm_word levels[] = {
    {.name = "low", .value = 0},
    {.name = "rank", .value = 1, .number = "R", .least = 2, .most = 9},
    {.name = "made", .value = 2, .derived = true},
};
static const trm_words level_words = TRM_WORDS("level", levels);
static const trm_word policies[] = {
    {.name = "hard"},
    {.name = "topk", .number = "K", .least = 1, .most = INT32_MAX},
    {.name = "near", .number = "E", .real = true},
};
static const trm_word *const policy_list[] = {&policies[0], &policies[1], &policies[2]};
static const trm_words policy_words = TRM_WORDS_OF("policy", policy_list);
static const trm_word depths[] = {{.name = "auto", .value = 0}};
static const trm_words depth_words = TRM_WORDS("depth", depths);

static const trm_option rows[] = {
    {.name = "flag",
     .json = "flag",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(settings, flag),
     .decides = TRM_AT_ANY},
    {.name = "count", .kind = TRM_OPTION_COUNT, TRM_FIELD(settings, count)},
    {.name = "level",
     .value = "L",
     .about = "how high",
     .json = "level",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(settings, level),
     TRM_NUMBER(settings, rank),
     .words = &level_words,
     .decides = TRM_AT_MINED | TRM_WITH_GRADIENT},
    {.name = "depth",
     .value = "D",
     .about = "how deep",
     .json = "depth",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(settings, depth),
     .words = &depth_words,
     .least = 3,
     .most = TRM_MOST,
     .decides = TRM_AT_ANY,
     .sparse = true},
    {.name = "width", .value = "W", .kind = TRM_OPTION_REAL, TRM_FIELD(settings, width), .most = 8},
    {.name = "wide", .value = "W", .kind = TRM_OPTION_REAL, TRM_FIELD(settings, width), .most = 1e100},
    {.name = "least-distance",
     .value = "D",
     .json = "least_distance",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(settings, least_distance),
     .least = -INFINITY,
     .optional = true,
     .decides = TRM_AT_ANY},
    {.name = "room", .value = "SIZE", .kind = TRM_OPTION_SIZE, TRM_FIELD(settings, room)},
    {.name = "policy",
     .value = "P",
     .json = "policy",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(settings, policy),
     .words = &policy_words,
     .decides = TRM_AT_ANY},
    {.name = "path", .value = "FILE", .kind = TRM_OPTION_TEXT, TRM_FIELD(settings, path)},
    {.name = "gap",
     .value = "G,G",
     .kind = TRM_OPTION_REALS,
     TRM_FIELD(settings, gap),
     TRM_NUMBER(settings, gaps)},
    {.name = "label",
     .value = "L",
     .json = "label",
     .kind = TRM_OPTION_LABELS,
     TRM_FIELD(settings, labels),
     .decides = TRM_AT_ANY},
};
static const trm_options table = TRM_OPTIONS("Test", rows);

static const settings usual = {.least_distance = NAN, .policy = "topk:5"};

static const trm_option *row_of(const char *name)
{
    for (int i = 0; i < table.count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    fail_msg("no row %s", name);
    return NULL;
}

static trm_status set(settings *s, const char *name, const char *text, trm_error *err)
{
    *err = (trm_error)TRM_ERROR_INIT;
    return trm_option_set(row_of(name), s, text, err);
}

static const struct {
    const char *option, *text, *error;
} refused[] = {
    {"level", "lwo", "--level 'lwo': must be one of low rank:R, did you mean 'low'?"},
    {"level", "made", "--level 'made': must be one of low rank:R"},
    {"level", "low:3", "--level 'low:3': 'low' takes no number"},
    {"level", "rank", "--level 'rank': must be one of low rank:R, did you mean 'rank:R'?"},
    {"level", "rank:1", "--level rank '1': must be a whole number from 2 to 9"},
    {"level", "rank:", "--level rank '': must be a whole number from 2 to 9"},
    {"depth", "2", "--depth '2': must be a whole number from 3 to 9223372036854775807"},
    {"depth", "autos", "--depth 'autos': must be a whole number from 3 to 9223372036854775807"},
    {"width", "-1", "--width '-1': must be a finite number, 0 or more"},
    {"width", "9", "--width '9': must be at most 8"},
    {"wide", "1e101", "--wide '1e101': must be at most 1e100"},
    {"least-distance", "nan", "--least-distance 'nan': must be a finite number"},
    {"gap", "1,2,3,4", "--gap '1,2,3,4': must be at most 3 numbers, with commas between"},
    {"gap", "", "--gap '': must be a finite number, 0 or more; several have commas between"},
    {"policy", "topk:0", "--policy topk '0': must be a whole number from 1 to 2147483647"},
    {"policy", "near:-1", "--policy near '-1': must be a finite number, 0 or more"},
    {"policy", "near", "--policy 'near': must be one of hard topk:K near:E, did you mean 'near:E'?"},
};

static void what_is_refused_leaves_the_settings(void **state)
{
    (void)state;
    trm_error err;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        settings s = usual;
        assert_int_equal(set(&s, refused[i].option, refused[i].text, &err), TRM_ERR_USAGE);
        assert_string_equal(err.text, refused[i].error);
        assert_memory_equal(&s, &usual, sizeof s);
    }
}

static const struct {
    const char *option, *text, *json;
} taken[] = {
    {"flag", NULL, "true"},
    {"count", NULL, "1"},
    {"level", "low", "\"low\""},
    {"level", "rank:7", "\"rank:7\""},
    {"depth", "3", "3"},
    {"depth", "auto", "\"auto\""},
    {"width", "0.5", "0.5"},
    {"least-distance", "-2", "-2.0"},
    {"room", "2KiB", "2048"},
    {"policy", "near:0.1", "\"near:0.1\""},
    {"policy", "hard", "\"hard\""},
    {"path", "a\xff", "\"a\\\\xff\""},
    {"gap", "0.5,2", "[0.5, 2.0]"},
    {"label", "-1", "-1"},
    {"label", "ant", "\"ant\""},
};

static void what_is_set_is_told(void **state)
{
    (void)state;
    trm_error err;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        settings s = usual;
        assert_int_equal(set(&s, taken[i].option, taken[i].text, &err), TRM_OK);
        json_t *value = trm_option_json(row_of(taken[i].option), &s);
        json_t *wanted = json_loads(taken[i].json, JSON_DECODE_ANY, NULL);
        assert_non_null(wanted);
        if (json_equal(value, wanted) != 1)
            fail_msg("--%s %s is told as something else than %s", taken[i].option, taken[i].text,
                     taken[i].json);
        json_decref(value);
        json_decref(wanted);
        trm_option_labels_free(&s.labels);
    }
}

static char *report(const settings *s, uint32_t at)
{
    json_t *object = json_object();
    trm_options_report(&table, s, &usual, at, &object);
    char *text = json_dumps(object, JSON_PRESERVE_ORDER | JSON_COMPACT);
    json_decref(object);
    return text;
}

static void is_reported(const settings *s, uint32_t at, const char *wanted)
{
    char *text = report(s, at);
    assert_string_equal(text, wanted);
    free(text);
}

static void a_report_has_what_decides_the_result_there(void **state)
{
    (void)state;
    trm_error err;
    settings s = usual;
    is_reported(&s, TRM_AT_MINED,
                "{\"flag\":false,\"least_distance\":null,\"policy\":\"topk:5\",\"label\":null}");
    assert_int_equal(set(&s, "label", "7", &err), TRM_OK);
    assert_int_equal(set(&s, "label", "10", &err), TRM_OK);
    assert_int_equal(set(&s, "label", "7", &err), TRM_OK);
    assert_int_equal(set(&s, "depth", "4", &err), TRM_OK);
    is_reported(
        &s, TRM_AT_GIVEN | TRM_WITH_GRADIENT,
        "{\"flag\":false,\"depth\":4,\"least_distance\":null,\"policy\":\"topk:5\",\"label\":[10,7]}");
    s.labels.named = true;
    is_reported(&s, TRM_AT_MINED | TRM_WITH_GRADIENT,
                "{\"flag\":false,\"level\":\"low\",\"depth\":4,\"least_distance\":null,\"policy\":\"topk:5\","
                "\"label\":[\"10\",\"7\"]}");
    assert_int_equal(set(&s, "depth", "auto", &err), TRM_OK); /* the default */
    s.labels.count = 0;
    is_reported(&s, TRM_AT_MINED,
                "{\"flag\":false,\"least_distance\":null,\"policy\":\"topk:5\",\"label\":null}");
    trm_option_labels_free(&s.labels);
}

static void help_names_words_and_default(void **state)
{
    (void)state;
    char text[TRM_OPTION_HELP];
    assert_string_equal(trm_option_help(row_of("level"), &usual, text), "low (default) or rank:R: how high");
    assert_string_equal(trm_option_help(row_of("depth"), &usual, text), "how deep (default auto)");
    assert_string_equal(trm_option_help(row_of("policy"), &usual, text), "hard, topk:K (default) or near:E");
    assert_string_equal(trm_option_help(row_of("least-distance"), &usual, text), "");
}

/* ---- every row of every command ---- */

static size_t size_of(trm_option_kind kind)
{
    switch (kind) {
    case TRM_OPTION_FLAG:
        return sizeof(bool);
    case TRM_OPTION_COUNT:
    case TRM_OPTION_WORD:
    case TRM_OPTION_WHOLE:
        return sizeof(int);
    case TRM_OPTION_REAL:
        return sizeof(double);
    case TRM_OPTION_SIZE:
        return sizeof(int64_t);
    case TRM_OPTION_REALS: /* of each */
        return sizeof(double);
    case TRM_OPTION_TEXT:
        return sizeof(const char *);
    case TRM_OPTION_TEXTS:
        return sizeof(trm_option_texts);
    case TRM_OPTION_LABELS:
        return sizeof(trm_option_labels);
    }
    return 0;
}

static bool has_room(const trm_option *option)
{
    return option->size == size_of(option->kind) ||
           (option->kind == TRM_OPTION_REALS && option->size % sizeof(double) == 0) ||
           (option->kind == TRM_OPTION_WORD && option->size == sizeof(bool)) ||
           (option->kind == TRM_OPTION_WHOLE && option->size == sizeof(int64_t));
}

static void check_words(const trm_words *words)
{
    for (int i = 0; i < words->count; i++)
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(trm_word_at(words, i)->name, trm_word_at(words, k)->name);
            assert_int_not_equal(trm_word_at(words, i)->value, trm_word_at(words, k)->value);
        }
}

static void check_row(const trm_walk *walk, const trm_cli *defaults)
{
    const trm_option *option = walk->option;
    if (!has_room(option))
        fail_msg("%s: its kind does not fit its field", option->field);
    if (option->words != NULL && option->kind != TRM_OPTION_TEXT)
        check_words(option->words);
    assert_true(option->kind != TRM_OPTION_WORD || option->words != NULL);
    assert_true(option->decides == 0 || option->json != NULL);
    assert_true(option->sources == 0 || option->name == NULL || option->decides == 0 ||
                option->json == NULL || strcmp(option->json, "source") == 0 ||
                (option->decides & TRM_AT_ANY & ~option->sources) == 0);
    if (option->name == NULL) {
        assert_null(option->about);
        return;
    }
    assert_non_null(option->about);
    assert_true(trm_option_takes_value(option) == (option->value != NULL));
    if (option->kind == TRM_OPTION_WORD)
        assert_non_null(
            trm_word_of(option->words, (int)trm_option_whole(option, trm_walk_settings(walk, defaults))));
}

static void rows_of_all_commands_are_sound(void **state)
{
    (void)state;
    for (int i = 0; trm_commands[i] != NULL; i++) {
        trm_cli defaults;
        trm_cli_init(&defaults, trm_commands[i]);
        for (trm_walk walk = trm_command_walk(trm_commands[i]); trm_walk_next(&walk);) {
            assert_true(walk.number < TRM_OPTIONS_MOST);
            check_row(&walk, &defaults);
        }
        trm_cli_free(&defaults);
    }
}

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void names_letters_and_keys_are_unique_in_a_command(void **state)
{
    (void)state;
    for (int i = 0; trm_commands[i] != NULL; i++)
        for (trm_walk a = trm_command_walk(trm_commands[i]); trm_walk_next(&a);)
            for (trm_walk b = a; trm_walk_next(&b);)
                if (same(a.option->name, b.option->name) || same(a.option->json, b.option->json) ||
                    (a.option->letter != '\0' && a.option->letter == b.option->letter))
                    fail_msg("%s: '%s' and '%s' are not apart", trm_commands[i]->name, a.option->field,
                             b.option->field);
}

/* An option of one name takes a value in all commands or in none: the parser looks it up in any of them. */
static void an_option_takes_a_value_everywhere_or_nowhere(void **state)
{
    (void)state;
    for (int i = 0; trm_commands[i] != NULL; i++)
        for (trm_walk a = trm_command_walk(trm_commands[i]); trm_walk_next(&a);)
            for (int k = 0; k < i && a.option->name != NULL; k++) {
                trm_walk b = trm_command_walk(trm_commands[k]);
                if (trm_walk_find(&b, a.option->name))
                    assert_true(trm_option_takes_value(a.option) == trm_option_takes_value(b.option) &&
                                a.option->letter == b.option->letter);
            }
}

static void presets_are_options_that_their_commands_take(void **state)
{
    (void)state;
    json_t *presets = trm_preset_schema(), *preset;
    size_t i;
    json_array_foreach(presets, i, preset)
    {
        static const char *const commands[] = {"mine", "loss"};
        for (int c = 0; c < 2; c++) {
            char program[] = "trimine", command[8], option[] = "--compat", name[32], store[] = "s.h5";
            char *words[] = {program, command, option, name, store};
            trm_cli cli;
            trm_error err = TRM_ERROR_INIT;
            snprintf(command, sizeof command, "%s", commands[c]);
            snprintf(name, sizeof name, "%s", json_string_value(json_object_get(preset, "name")));
            const bool takes = json_is_true(json_object_get(preset, commands[c]));
            assert_int_equal(trm_cli_parse(5, words, &cli, &err), takes ? TRM_OK : TRM_ERR_USAGE);
            trm_cli_free(&cli);
        }
    }
    json_decref(presets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused_leaves_the_settings),
        cmocka_unit_test(what_is_set_is_told),
        cmocka_unit_test(a_report_has_what_decides_the_result_there),
        cmocka_unit_test(help_names_words_and_default),
        cmocka_unit_test(rows_of_all_commands_are_sound),
        cmocka_unit_test(names_letters_and_keys_are_unique_in_a_command),
        cmocka_unit_test(an_option_takes_a_value_everywhere_or_nowhere),
        cmocka_unit_test(presets_are_options_that_their_commands_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
