/* trimine show: what a result says of itself, how many rows it has, how its distances are spread, and its first rows, in
 * words. The text is the command's result, so it goes to standard output. Rank 0 does all of it. */
#include "cli/columns.h"
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/number.h"
#include "mine/statistics.h"
#include "par/agree.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shown {
    trm_result *result;
    trm_columns columns;
    json_t *options; /* NULL: none; owned */
    trm_statistics_summary statistics;
    int64_t anchors, fallback; /* of triplets: that have one; of a fallback */
} shown;

/* ---- what there is to count ---- */

enum { PIECE = 1 << 16 };

/* Reads the distances piece by piece, as what the statistics of triplets are made of. */
typedef struct walk_source {
    shown *of;
    trm_result_array near, far, positive; /* name NULL: there is none */
    int64_t piece;
    double *near_d, *far_d;
    int64_t *of_positive; /* -1: an anchor without one, which does not count */
    trm_triplet *triplet;
} walk_source;

static double *value_of(double *d, const trm_result_array *array, int64_t row, int64_t place)
{
    return &d[row * array->width + (array->width > 1 ? place : 0)];
}

/* A trm_walk_fn. */
static trm_status walk(void *context, trm_look_fn look, void *looker, trm_error *err)
{
    walk_source *in = context;
    const trm_result_array *near = &in->near, *far = in->far.name != NULL ? &in->far : near;
    const int64_t rows = in->of->columns.rows, width = near->width > far->width ? near->width : far->width;
    trm_status status = TRM_OK;
    for (int64_t at = 0; at < rows && status == TRM_OK; at += in->piece) {
        const int64_t count = rows - at < in->piece ? rows - at : in->piece;
        int64_t found = 0;
        status = trm_result_read(in->of->result, near, at, count, in->near_d, err);
        if (status == TRM_OK && far != near)
            status = trm_result_read(in->of->result, far, at, count, in->far_d, err);
        if (status == TRM_OK && in->positive.name != NULL)
            status = trm_result_read(in->of->result, &in->positive, at, count, in->of_positive, err);
        for (int64_t i = 0; i < count * width && status == TRM_OK; i++) {
            const bool lone = in->positive.name != NULL && in->of_positive[i / width] < 0;
            const double d = *value_of(in->near_d, near, i / width, i % width),
                         other = far == near ? d : *value_of(in->far_d, far, i / width, i % width);
            if (isfinite(d) && isfinite(other) && !lone)
                in->triplet[found++] = (trm_triplet){.d_ap = d, .d_an = other};
        }
        if (status == TRM_OK)
            look(looker, in->triplet, found);
    }
    return status;
}

/* Adding, as looking: what fails is kept. */
typedef struct adder {
    trm_statistics *statistics;
    trm_status status;
    trm_error *err;
} adder;

static void add(void *context, const trm_triplet *triplets, int64_t count)
{
    adder *to = context;
    if (to->status == TRM_OK)
        to->status = trm_statistics_add(to->statistics, triplets, count, to->err);
}

static trm_status count_distances(shown *of, trm_error *err)
{
    const trm_columns *columns = &of->columns;
    const int near = trm_columns_find(columns, columns->near), far = trm_columns_find(columns, columns->far);
    if (near < 0 || columns->array[near].type != TRM_ARRAY_FLOAT64)
        return TRM_OK;
    walk_source in = {.of = of, .near = columns->array[near]};
    if (far >= 0)
        in.far = columns->array[far];
    const int positive = trm_columns_find(columns, "positive");
    if (positive >= 0 && columns->array[positive].type == TRM_ARRAY_INT64 &&
        columns->array[positive].rank == 1)
        in.positive = columns->array[positive];
    const int64_t width = trm_columns_width(columns);
    in.piece = width < PIECE ? PIECE / width : 1;
    in.near_d = trm_alloc(in.piece * width, sizeof *in.near_d);
    in.far_d = trm_alloc(in.piece * width, sizeof *in.far_d);
    in.of_positive = trm_alloc(in.piece, sizeof *in.of_positive);
    in.triplet = trm_alloc(in.piece * width, sizeof *in.triplet);
    adder to = {NULL, TRM_OK, err};
    trm_status status = in.near_d == NULL || in.far_d == NULL || in.triplet == NULL || in.of_positive == NULL
                            ? trm_fail_memory(err, "distances", in.piece * width, sizeof *in.triplet)
                            : trm_statistics_create(MPI_COMM_SELF, 1, &to.statistics, err);
    if (status == TRM_OK)
        status = walk(&in, add, &to, err);
    if (status == TRM_OK)
        status = to.status;
    if (status == TRM_OK)
        status = trm_statistics_finish(to.statistics, walk, &in, 0, &of->statistics, err);
    trm_statistics_destroy(&to.statistics);
    trm_free(in.near_d);
    trm_free(in.far_d);
    trm_free(in.of_positive);
    trm_free(in.triplet);
    return status;
}

/* Anchors that have something, which come one after the other; triplets of a fallback. */
static trm_status count_anchors(shown *of, trm_error *err)
{
    const trm_columns *columns = &of->columns;
    const int anchor = trm_columns_find(columns, "anchor"), kind = trm_columns_find(columns, "kind");
    int64_t before = -1, *id;
    trm_status status = TRM_OK;
    if (anchor < 0 || columns->array[anchor].type != TRM_ARRAY_INT64 || columns->array[anchor].width != 1 ||
        (kind >= 0 && (columns->array[kind].type != TRM_ARRAY_UINT8 || columns->array[kind].width != 1)))
        return TRM_OK;
    id = trm_alloc(PIECE, sizeof *id);
    uint8_t *kinds = trm_alloc(PIECE, 1);
    if (id == NULL || kinds == NULL)
        status = trm_fail_memory(err, "anchors", PIECE, sizeof *id);
    for (int64_t at = 0; at < columns->rows && status == TRM_OK; at += PIECE) {
        const int64_t count = columns->rows - at < PIECE ? columns->rows - at : PIECE;
        status = trm_result_read(of->result, &columns->array[anchor], at, count, id, err);
        if (status == TRM_OK && kind >= 0)
            status = trm_result_read(of->result, &columns->array[kind], at, count, kinds, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++) {
            of->anchors += id[i] != before;
            of->fallback += kind >= 0 && kinds[i] == TRM_KIND_FALLBACK;
            before = id[i];
        }
    }
    trm_free(id);
    trm_free(kinds);
    return status;
}

/* ---- rows ---- */

/* A value of a column's row as JSON. */
static json_t *value_json(trm_array_type type, const void *data, int64_t i)
{
    const double real = type == TRM_ARRAY_FLOAT64   ? ((const double *)data)[i]
                        : type == TRM_ARRAY_FLOAT32 ? (double)((const float *)data)[i]
                                                    : 0.0;
    if (type == TRM_ARRAY_INT64)
        return json_integer(((const int64_t *)data)[i]);
    if (type == TRM_ARRAY_UINT8)
        return json_integer(((const uint8_t *)data)[i]);
    return isfinite(real) ? json_real(real) : json_null();
}

/* Columns of a row; wide ones are lists, cut to most values (0: all of them). */
static trm_status row_json(const shown *of, trm_line_numbers *numbers, int64_t row, int64_t most,
                           json_t **object, trm_error *err)
{
    const trm_columns *columns = &of->columns;
    void *data = trm_alloc(trm_columns_width(columns), 8);
    trm_status status = data == NULL ? trm_fail_memory(err, "a row", trm_columns_width(columns), 8) : TRM_OK;
    *object = json_object();
    if (columns->number != NULL && status == TRM_OK) {
        int64_t number = 0;
        status = trm_columns_number(of->result, columns, numbers, row, &number, err);
        trm_json_put(object, columns->number, json_integer(number));
    }
    for (int c = 0; c < columns->count && status == TRM_OK; c++) {
        const trm_result_array *array = &columns->array[c];
        status = trm_result_read(of->result, array, row, 1, data, err);
        json_t *value = json_array();
        for (int64_t i = 0; i < array->width && (most == 0 || i < most) && status == TRM_OK; i++)
            trm_json_append(&value, value_json(array->type, data, i));
        if (array->rank == 1 && status == TRM_OK) {
            json_decref(value);
            value = value_json(array->type, data, 0);
        }
        trm_json_put(object, columns->name[c], value);
    }
    trm_free(data);
    return status;
}

/* ---- JSON ---- */

static json_t *statistic_json(const trm_statistic *s)
{
    return s->count == 0 ? json_pack("{s:I}", "count", (json_int_t)0)
                         : json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "count",
                                     (json_int_t)s->count, "mean", s->mean, "std", s->std, "min", s->min,
                                     "q1", s->q1, "median", s->median, "q3", s->q3, "max", s->max);
}

static json_t *statistics_json(const shown *of)
{
    json_t *all = json_object();
    const bool two = of->columns.far != NULL;
    if (!of->statistics.ordered)
        return all;
    trm_json_put(&all, two ? "d_ap" : "distance", statistic_json(&of->statistics.of[TRM_SERIES_D_AP]));
    if (two) {
        trm_json_put(&all, "d_an", statistic_json(&of->statistics.of[TRM_SERIES_D_AN]));
        trm_json_put(&all, "gap", statistic_json(&of->statistics.of[TRM_SERIES_GAP]));
    }
    return all;
}

static json_t *origin_json(const shown *of, const char *whose)
{
    char name[40];
    int64_t rows = 0, dim = 0;
    json_t *object = json_object();
    snprintf(name, sizeof name, "%s_rows", whose);
    if (!trm_result_whole(of->result, name, &rows)) {
        json_decref(object);
        return json_null();
    }
    trm_json_put(&object, "rows", json_integer(rows));
    snprintf(name, sizeof name, "%s_dim", whose);
    if (trm_result_whole(of->result, name, &dim))
        trm_json_put(&object, "dim", json_integer(dim));
    snprintf(name, sizeof name, "%s_fingerprint", whose);
    trm_json_put(&object, "fingerprint", trm_json_text_or_null(trm_result_text(of->result, name)));
    return object;
}

static trm_status tell_json(const trm_cli *cli, const shown *of, trm_error *err)
{
    json_t *rows = json_array(), *row = NULL;
    trm_line_numbers numbers = {0};
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < of->columns.rows && i < cli->shown && status == TRM_OK; i++) {
        status = row_json(of, &numbers, i, 0, &row, err);
        trm_json_append(&rows, row);
    }
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:o, s:O?, s:o, s:o, s:o, s:{s:s, s:I}, s:o, s:o}", "program", "trimine",
        "version", trm_version(), "command", "show", "result", trm_json_text(cli->input[0]), "format",
        trm_result_text(of->result, "format"), "made_by",
        trm_json_text_or_null(trm_result_text(of->result, "program_version")), "options", of->options,
        "store", origin_json(of, "store"), "queries", origin_json(of, "queries"), "result_hash",
        trm_json_text_or_null(trm_result_text(of->result, "result_hash")), "counts", "row", of->columns.row,
        "rows", (json_int_t)of->columns.rows, "statistics", statistics_json(of), "rows", rows);
    if (trm_columns_find(&of->columns, "anchor") >= 0)
        trm_json_put_all(&object, json_pack("{s:I, s:I}", "anchors", (json_int_t)of->anchors, "fallback",
                                            (json_int_t)of->fallback));
    if (status != TRM_OK) {
        json_decref(object);
        return status;
    }
    return trm_report_print(object, err);
}

/* ---- for people ---- */

enum { OPTION = 128 };

/* A word, which may end with a number of 17 digits (multisimilarity:0.10000000000000001). */
static void word_text(const char *word, char text[OPTION])
{
    enum { LONG = 16 }; /* digits that nobody types */
    char number[TRM_NUMBER_TEXT], *end = NULL;
    const char *colon = strchr(word, ':');
    const double real = colon != NULL ? strtod(colon + 1, &end) : 0.0;
    if (colon != NULL && strlen(colon) > LONG && *end == '\0')
        snprintf(text, OPTION, "%.*s%s", (int)(colon + 1 - word), word, trm_number_text(real, number));
    else
        snprintf(text, OPTION, "%s", word);
}

/* The value of an option as it would be typed; "" where it is off. */
static void option_text(const json_t *value, char text[OPTION])
{
    char number[TRM_NUMBER_TEXT];
    text[0] = '\0';
    if (json_is_string(value)) {
        word_text(json_string_value(value), text);
    } else if (json_is_real(value)) {
        snprintf(text, OPTION, "%s", trm_number_text(json_real_value(value), number));
    } else if (!json_is_null(value) && !json_is_false(value)) {
        char *whole = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        snprintf(text, OPTION, "%s", whole != NULL ? whole : "");
        trm_json_free(whole);
    }
}

static void print_options(const shown *of)
{
    const char *key;
    json_t *value;
    char line[256] = "options   ";
    json_object_foreach(of->options, key, value)
    {
        char more[OPTION], text[OPTION];
        option_text(value, text);
        if (text[0] == '\0')
            continue;
        snprintf(more, sizeof more, " %s %.90s,", key, text);
        if (strlen(line) + strlen(more) > 100) {
            trm_say(stdout, "%s", line);
            snprintf(line, sizeof line, "          ");
        }
        strncat(line, more, sizeof line - strlen(line) - 1);
    }
    if (line[strlen(line) - 1] == ',')
        line[strlen(line) - 1] = '\0';
    trm_say(stdout, "%s", line);
}

static void print_origin(const shown *of, const char *whose)
{
    json_t *origin = origin_json(of, whose);
    const char *fingerprint = json_string_value(json_object_get(origin, "fingerprint"));
    if (!json_is_null(origin))
        trm_say(stdout, "%-10s %" PRId64 " rows, fingerprint %s", whose,
                (int64_t)json_integer_value(json_object_get(origin, "rows")),
                fingerprint != NULL ? fingerprint : "unknown");
    json_decref(origin);
}

static void print_statistics(const shown *of)
{
    const bool two = of->columns.far != NULL;
    static const char *const names[TRM_SERIES] = {"d_ap", "d_an", "d_an - d_ap"};
    if (!of->statistics.ordered || of->statistics.of[0].count == 0)
        return;
    printf("\n%-12s %12s %12s %12s %12s %12s %12s\n", "", "least", "25 %", "median", "75 %", "largest",
           "mean");
    for (int s = 0; s < (two ? TRM_SERIES : 1); s++) {
        const trm_statistic *of_one = &of->statistics.of[s];
        printf("%-12s %12.6g %12.6g %12.6g %12.6g %12.6g %12.6g\n", two ? names[s] : "distance", of_one->min,
               of_one->q1, of_one->median, of_one->q3, of_one->max, of_one->mean);
    }
}

static trm_status print_rows(const trm_cli *cli, const shown *of, trm_error *err)
{
    enum { VALUES = 6, PLACES = 6 };
    trm_line_numbers numbers = {0};
    trm_status status = TRM_OK;
    if (cli->shown > 0 && of->columns.rows > 0)
        printf("\n");
    for (int64_t i = 0; i < of->columns.rows && i < cli->shown && status == TRM_OK; i++) {
        const char *key;
        json_t *row, *value;
        status = row_json(of, &numbers, i, VALUES, &row, err);
        json_object_foreach(row, key, value)
        {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(PLACES));
            const int c = trm_columns_find(&of->columns, key);
            const bool cut = c >= 0 && of->columns.array[c].width > VALUES;
            if (text != NULL)
                printf("%s %s%s  ", key, text, cut ? " ..." : "");
            trm_json_free(text);
        }
        printf("\n");
        json_decref(row);
    }
    return status;
}

static trm_status tell_people(const trm_cli *cli, const shown *of, trm_error *err)
{
    const char *hash = trm_result_text(of->result, "result_hash"),
               *version = trm_result_text(of->result, "program_version"),
               *loss = trm_result_text(of->result, "loss");
    double value = 0.0;
    trm_say(stdout, "result     %s: %s of trimine %s", cli->input[0], trm_result_text(of->result, "format"),
            version != NULL ? version : "(no version)");
    print_origin(of, "store");
    print_origin(of, "queries");
    if (of->options != NULL)
        print_options(of);
    if (loss != NULL && trm_result_real(of->result, "value", &value))
        trm_say(stdout, "loss       %s: %.9g", loss, value);
    if (hash != NULL)
        trm_say(stdout, "hash       %s", hash);
    printf("rows       %" PRId64 ", each a %s", of->columns.rows, of->columns.row);
    if (of->anchors > 0)
        printf("; %" PRId64 " anchors have one or more", of->anchors);
    if (of->fallback > 0)
        printf("; %" PRId64 " come from the fallback", of->fallback);
    printf("\n");
    print_statistics(of);
    trm_status status = print_rows(cli, of, err);
    if (status == TRM_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = trm_fail(err, TRM_ERR_IO, "the report could not be written to standard output");
    return status;
}

/* ---- all of it ---- */

static trm_status show(const trm_cli *cli, trm_error *err)
{
    shown of = {.result = NULL};
    trm_status status = trm_result_open(MPI_COMM_SELF, cli->input[0], &of.result, err);
    const char *options = status == TRM_OK ? trm_result_text(of.result, "options") : NULL;
    of.options = options == NULL ? NULL : json_loads(options, 0, NULL);
    if (status == TRM_OK)
        status = trm_columns_open(of.result, &of.columns, err);
    if (status == TRM_OK)
        status = count_distances(&of, err);
    if (status == TRM_OK)
        status = count_anchors(&of, err);
    if (status == TRM_OK)
        status = trm_result_check_unchanged(of.result, err);
    if (status == TRM_OK)
        status = cli->json ? tell_json(cli, &of, err) : cli->quiet ? TRM_OK : tell_people(cli, &of, err);
    json_decref(of.options);
    trm_statistics_free(&of.statistics);
    trm_result_close(&of.result);
    return status;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    const trm_status status = trm_rank_of(MPI_COMM_WORLD) == 0 ? show(cli, err) : TRM_OK;
    return trm_agree(MPI_COMM_WORLD, status, err);
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    return cli->inputs == 1 ? TRM_OK : trm_fail(err, TRM_ERR_USAGE, "show takes one result");
}

static const trm_taken own[] = {TRM_TAKE(trm_shown_table), TRM_TAKE(trm_report_table)};
static const trm_takes own_takes = TRM_TAKES(own);

const trm_command trm_command_show = {
    .name = "show",
    .arguments = "RESULT",
    .about = "Says what is in a result: options, counts, quantiles of distances, first rows.",
    .own = &own_takes,
    .check = check,
    .run = run,
};
