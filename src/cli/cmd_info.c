/* trimine info: what is recognised in a store, and what would be refused. The text is the command's result,
 * so it goes to standard output. */
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/exact_sum.h"
#include "base/json.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "store/labels.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the rows are like; merged over the ranks. */
typedef struct row_facts {
    double norm_min, norm_max;
    trm_exact_sum norm_sum; /* the same mean on any number of ranks */
    int64_t finite, non_finite, first_non_finite, zero_norm, first_zero;
} row_facts;

typedef struct class_count {
    int64_t label, size;
} class_count;

typedef struct inspection {
    MPI_Comm comm;
    int rank, ranks;
    bool verbose;
    trm_voice voice;
    trm_store *store;
    row_facts facts;
    class_count *classes; /* rank 0: by label */
    int64_t class_count;
} inspection;

static int compare_labels(const void *a, const void *b)
{
    const class_count *x = a, *y = b;
    return x->label < y->label ? -1 : x->label > y->label;
}

static int compare_sizes(const void *a, const void *b)
{
    const class_count *x = a, *y = b;
    return x->size != y->size ? (x->size > y->size ? -1 : 1) : compare_labels(a, b);
}

/* Sorts and adds up equal labels; returns how many are left. */
static int64_t merge_classes(class_count *classes, int64_t count)
{
    int64_t kept = 0;
    qsort(classes, (size_t)count, sizeof *classes, compare_labels);
    for (int64_t i = 0; i < count; i++) {
        if (kept > 0 && classes[kept - 1].label == classes[i].label)
            classes[kept - 1].size += classes[i].size;
        else
            classes[kept++] = classes[i];
    }
    return kept;
}

static void look_at_row(row_facts *facts, const float *x, int dim, int64_t row)
{
    const double norm = sqrt(trm_dot(x, x, dim));
    if (!isfinite(norm)) {
        facts->non_finite++;
        facts->first_non_finite = row < facts->first_non_finite ? row : facts->first_non_finite;
        return;
    }
    facts->finite++;
    if (norm == 0.0) {
        facts->zero_norm++;
        facts->first_zero = row < facts->first_zero ? row : facts->first_zero;
    }
    facts->norm_min = fmin(facts->norm_min, norm);
    facts->norm_max = fmax(facts->norm_max, norm);
    trm_exact_sum_add(&facts->norm_sum, norm);
}

/* Reads this rank's part in pieces; every rank takes part in every piece. */
static trm_status read_rows(inspection *in, class_count *classes, float *x, int64_t *labels, int64_t piece,
                            trm_error *err)
{
    trm_read_options options;
    const int dim = trm_store_dim(in->store);
    const int64_t longest = (trm_store_rows(in->store) + in->ranks - 1) / in->ranks;
    int64_t first, last;
    trm_read_options_init(&options);
    options.accept_non_finite = true;
    trm_share(trm_store_rows(in->store), in->rank, in->ranks, &first, &last);
    trm_status status = TRM_OK;
    for (int64_t done = 0; done < longest && status == TRM_OK; done += piece) {
        const int64_t at = first + done < last ? first + done : last,
                      count = last - at < piece ? last - at : piece;
        status = trm_store_read(in->store, at, count, &options, x, labels, NULL, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++) {
            look_at_row(&in->facts, x + i * dim, dim, at + i);
            classes[at - first + i] = (class_count){labels[i], 1};
        }
    }
    return status;
}

static trm_status inspect(inspection *in, trm_error *err)
{
    const int dim = trm_store_dim(in->store);
    const int64_t piece = (INT64_C(16) << 20) / dim + 1;
    int64_t first, last;
    trm_share(trm_store_rows(in->store), in->rank, in->ranks, &first, &last);
    float *x = trm_alloc(piece * dim, sizeof *x);
    int64_t *labels = trm_alloc(piece, sizeof *labels);
    class_count *classes = trm_alloc(last - first, sizeof *classes);
    int64_t *counts = trm_alloc_zero(2 * (int64_t)in->ranks, sizeof *counts);
    trm_status status = TRM_OK;
    if (x == NULL || labels == NULL || classes == NULL || counts == NULL)
        status = trm_fail_memory(err, "rows", piece, (size_t)dim * sizeof *x);
    status = trm_agree(in->comm, status, err);
    if (status == TRM_OK)
        status = read_rows(in, classes, x, labels, piece, err);
    if (status == TRM_OK) {
        counts[0] = merge_classes(classes, last - first);
        status = trm_exchange_items(in->comm, classes, counts, sizeof *classes, (void **)&in->classes,
                                    counts + in->ranks, err);
    }
    if (status == TRM_OK) {
        for (int r = 0; r < in->ranks; r++)
            in->class_count += counts[in->ranks + r];
        in->class_count = merge_classes(in->classes, in->class_count);
    }
    trm_free(x);
    trm_free(labels);
    trm_free(classes);
    trm_free(counts);
    return status;
}

static void merge_facts(inspection *in)
{
    row_facts *f = &in->facts;
    int64_t sums[] = {f->finite, f->non_finite, f->zero_norm};
    MPI_Allreduce(MPI_IN_PLACE, sums, 3, MPI_INT64_T, MPI_SUM, in->comm);
    f->finite = sums[0];
    f->non_finite = sums[1];
    f->zero_norm = sums[2];
    MPI_Allreduce(MPI_IN_PLACE, &f->first_non_finite, 1, MPI_INT64_T, MPI_MIN, in->comm);
    MPI_Allreduce(MPI_IN_PLACE, &f->first_zero, 1, MPI_INT64_T, MPI_MIN, in->comm);
    MPI_Allreduce(MPI_IN_PLACE, &f->norm_min, 1, MPI_DOUBLE, MPI_MIN, in->comm);
    MPI_Allreduce(MPI_IN_PLACE, &f->norm_max, 1, MPI_DOUBLE, MPI_MAX, in->comm);
    trm_merge_exact_sum(in->comm, &f->norm_sum);
    if (f->finite == 0)
        f->norm_min = f->norm_max = 0.0;
}

static double mean_norm(const row_facts *facts)
{
    return facts->finite > 0 ? trm_exact_sum_value(&facts->norm_sum) / (double)facts->finite : 0.0;
}

enum { CLASSES_SHOWN = 10 };

static json_t *dataset_json(const char *path, const char *type, json_t *shape)
{
    return json_pack("{s:o, s:s, s:o}", "dataset", trm_json_text(path), "type", type, "shape", shape);
}

/* Ids that are left aside have no shape that fits, and a reason. */
static json_t *ids_json(const trm_store_file *file)
{
    if (file->ids == NULL)
        return json_null();
    const bool used = file->ids_left_aside == NULL;
    json_t *ids = dataset_json(file->ids, file->ids_type,
                               used ? json_pack("[I]", (json_int_t)file->rows) : json_null());
    trm_json_put(&ids, "left_aside", used ? json_null() : trm_json_text(file->ids_left_aside));
    return ids;
}

static json_t *files_json(const inspection *in)
{
    json_t *files = json_array();
    for (int i = 0; i < trm_store_file_count(in->store); i++) {
        const trm_store_file *file = trm_store_file_at(in->store, i);
        const json_int_t rows = file->rows;
        json_t *ids = ids_json(file);
        trm_json_append(
            &files, json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "path", trm_json_text(file->path), "rows",
                              rows, "first_row", (json_int_t)file->first, "embeddings",
                              dataset_json(file->embeddings, file->embeddings_type,
                                           json_pack("[I, i]", rows, trm_store_dim(in->store))),
                              "labels", dataset_json(file->labels, file->labels_type, json_pack("[I]", rows)),
                              "ids", ids));
    }
    return files;
}

static json_t *non_finite_json(const inspection *in)
{
    const int64_t row = in->facts.first_non_finite;
    if (in->facts.non_finite == 0)
        return json_null();
    const trm_store_file *file = trm_file_of_row(in->store, row);
    return json_pack("{s:I, s:o, s:I}", "row", (json_int_t)row, "path", trm_json_text(file->path),
                     "row_in_file", (json_int_t)(row - file->first));
}

/* JSON's integers end at 2^63 - 1: a label beyond them is text. */
static json_t *class_json(const inspection *in, const class_count *class)
{
    char text[TRM_LABEL_TEXT];
    const trm_labels *labels = trm_store_labels(in->store);
    const bool large = labels->kind == TRM_LABELS_UNSIGNED && class->label < 0;
    json_t *about = json_pack("{s:o, s:I}", "label",
                              large ? json_string(trm_labels_text(labels, class->label, text))
                                    : json_integer(class->label),
                              "rows", (json_int_t) class->size);
    if (labels->kind == TRM_LABELS_NAMED)
        trm_json_put(&about, "name", trm_json_text(trm_names_get(&labels->names, class->label, NULL)));
    return about;
}

/* The names that labels stand for, in their order; null where they are numbers. */
static json_t *names_json(const inspection *in)
{
    const trm_labels *labels = trm_store_labels(in->store);
    json_t *names = json_array();
    for (int64_t i = 0; i < labels->names.count; i++)
        trm_json_append(&names, trm_json_text(trm_names_get(&labels->names, i, NULL)));
    if (labels->kind == TRM_LABELS_NAMED)
        return names;
    json_decref(names);
    return json_null();
}

static json_t *classes_json(const inspection *in, int64_t singletons)
{
    json_t *largest = json_array();
    for (int64_t i = 0; i < in->class_count && i < CLASSES_SHOWN; i++)
        trm_json_append(&largest, class_json(in, &in->classes[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "count", (json_int_t)in->class_count, "smallest",
                     (json_int_t)in->classes[in->class_count - 1].size, "median",
                     (json_int_t)in->classes[in->class_count / 2].size, "largest",
                     (json_int_t)in->classes[0].size, "singletons", (json_int_t)singletons, "top", largest);
}

static json_t *info_json(const inspection *in, int64_t singletons)
{
    const row_facts *f = &in->facts;
    return json_pack(
        "{s:s, s:s, s:s, s:{s:I, s:i, s:I}, s:o, s:o, s:o, s:{s:f, s:f, s:f}, s:I, s:o, s:I, s:o}", "program",
        "trimine", "version", trm_version(), "command", "info", "store", "rows",
        (json_int_t)trm_store_rows(in->store), "dim", trm_store_dim(in->store), "classes",
        (json_int_t)in->class_count, "files", files_json(in), "classes", classes_json(in, singletons),
        "label_names", names_json(in), "norms", "min", f->norm_min, "mean", mean_norm(f), "max", f->norm_max,
        "non_finite_rows", (json_int_t)f->non_finite, "first_non_finite", non_finite_json(in),
        "zero_norm_rows", (json_int_t)f->zero_norm, "warnings", trm_voice_warnings(&in->voice));
}

static void print_names(const trm_labels *labels)
{
    char text[TRM_LABEL_TEXT];
    if (labels->kind != TRM_LABELS_NAMED)
        return;
    printf("names       %" PRId64 ", numbered from 0 in the order of their bytes:", labels->names.count);
    for (int64_t i = 0; i < labels->names.count && i < CLASSES_SHOWN; i++)
        printf("%s %s", i > 0 ? "," : "", trm_labels_text(labels, i, text));
    printf("%s\n", labels->names.count > CLASSES_SHOWN ? ", ..." : "");
}

static void print_file(const inspection *in, const trm_store_file *file)
{
    char rows[64] = "no rows";
    if (file->rows > 0)
        snprintf(rows, sizeof rows, "rows %" PRId64 " to %" PRId64, file->first,
                 file->first + file->rows - 1);
    trm_say(stdout,
            "file        %s: %s; embeddings '%s' %" PRId64 " x %d %s; labels '%s' %" PRId64
            " %s; ids %s%s%s%s%s",
            file->path, rows, file->embeddings, file->rows, trm_store_dim(in->store), file->embeddings_type,
            file->labels, file->rows, file->labels_type, file->ids == NULL ? "none" : file->ids,
            file->ids == NULL ? "" : " ", file->ids_type, file->ids_left_aside == NULL ? "" : " left aside: ",
            file->ids_left_aside == NULL ? "" : file->ids_left_aside);
}

/* All of a few files, the ends of many; with -v all. */
static void print_files(const inspection *in)
{
    enum { FEW = 20, BEGINNING = 10, END = 5 };
    const int count = trm_store_file_count(in->store);
    const bool all = count <= FEW || in->verbose;
    for (int i = 0; i < count; i++) {
        if (!all && i == BEGINNING) {
            printf("            ... %d more files (-v lists all)\n", count - BEGINNING - END);
            i = count - END;
        }
        print_file(in, trm_store_file_at(in->store, i));
    }
}

static trm_status print_people(const inspection *in, int64_t singletons, trm_error *err)
{
    char text[TRM_LABEL_TEXT];
    const trm_labels *labels = trm_store_labels(in->store);
    const row_facts *f = &in->facts;
    printf("store       %" PRId64 " rows x %d, %" PRId64 " classes, %d file%s\n", trm_store_rows(in->store),
           trm_store_dim(in->store), in->class_count, trm_store_file_count(in->store),
           trm_store_file_count(in->store) == 1 ? "" : "s");
    print_files(in);
    printf("classes     %" PRId64 " to %" PRId64 " rows, median %" PRId64 ", %" PRId64
           " with one row; largest:",
           in->classes[in->class_count - 1].size, in->classes[0].size, in->classes[in->class_count / 2].size,
           singletons);
    for (int64_t i = 0; i < in->class_count && i < CLASSES_SHOWN; i++)
        printf(" %s (%" PRId64 ")", trm_labels_text(labels, in->classes[i].label, text), in->classes[i].size);
    printf("%s\n", in->class_count > CLASSES_SHOWN ? " ..." : "");
    print_names(labels);
    printf("norms       %.6g to %.6g, mean %.6g; %" PRId64 " rows of norm zero\n", f->norm_min, f->norm_max,
           mean_norm(f), f->zero_norm);
    if (f->non_finite > 0) {
        const trm_store_file *file = trm_file_of_row(in->store, f->first_non_finite);
        trm_say(stdout,
                "non-finite  %" PRId64 " rows, as float32; the first is row %" PRId64 ", row %" PRId64
                " of '%s': mine will refuse this store",
                f->non_finite, f->first_non_finite, f->first_non_finite - file->first, file->path);
    } else
        printf("non-finite  none\n");
    if (fflush(stdout) != 0 || ferror(stdout))
        return trm_fail(err, TRM_ERR_IO, "the report could not be written to standard output");
    return TRM_OK;
}

static void warn(inspection *in)
{
    char text[TRM_LABEL_TEXT];
    const row_facts *f = &in->facts;
    const int64_t rows = trm_store_rows(in->store);
    trm_warn_of_files(&in->voice, in->store);
    trm_warn_of_zero_rows(&in->voice, in->store, f->zero_norm, f->first_zero, rows);
    trm_warn_of_class(&in->voice, in->classes[0].size, rows,
                      trm_labels_text(trm_store_labels(in->store), in->classes[0].label, text));
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    inspection in = {.comm = MPI_COMM_WORLD,
                     .verbose = cli->verbose > 0,
                     .voice = trm_cli_voice(cli),
                     .facts = {.norm_min = INFINITY, .first_non_finite = INT64_MAX, .first_zero = INT64_MAX}};
    MPI_Comm_rank(in.comm, &in.rank);
    MPI_Comm_size(in.comm, &in.ranks);
    trm_status status = trm_store_open(in.comm, cli->inputs, (const char *const *)cli->input,
                                       &cli->settings->store, &in.store, err);
    if (status == TRM_OK)
        status = inspect(&in, err);
    if (status == TRM_OK) {
        merge_facts(&in);
        if (in.rank == 0) {
            int64_t singletons = 0;
            for (int64_t i = 0; i < in.class_count; i++)
                singletons += in.classes[i].size == 1;
            qsort(in.classes, (size_t)in.class_count, sizeof *in.classes, compare_sizes);
            warn(&in);
            if (cli->json)
                status = trm_report_print(info_json(&in, singletons), err);
            else if (!cli->quiet)
                status = print_people(&in, singletons, err);
        }
        status = trm_agree(in.comm, status, err);
    }
    trm_free(in.classes);
    trm_store_close(&in.store);
    trm_voice_free(&in.voice);
    return status;
}

static const trm_taken shared[] = {TRM_TAKE(trm_dataset_table)};
static const trm_taken own[] = {TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_info = {
    .name = "info",
    .arguments = "STORE...",
    .about = "Says what is recognised in a store.",
    .settings = &shared_takes,
    .own = &own_takes,
    .traits = TRM_TAKES_STORES,
    .run = run,
};
