/* trimine info: what is recognised in a store, and what would be refused. The text is the command's result,
 * so it goes to standard output. */
#include "cli/info.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "store/labels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool in_two_sets(const trm_info *in)
{
    return trm_settings_in_two_sets(in->settings);
}

/* ---- for people ---- */

static void print_names(const trm_labels *labels)
{
    char text[TRM_LABEL_TEXT];
    if (labels->kind != TRM_LABELS_NAMED)
        return;
    printf("names       %" PRId64 ", numbered from 0 in the order of their bytes:", labels->names.count);
    for (int64_t i = 0; i < labels->names.count && i < TRM_INFO_CLASSES_SHOWN; i++)
        printf("%s %s", i > 0 ? "," : "", trm_labels_text(labels, i, text));
    printf("%s\n", labels->names.count > TRM_INFO_CLASSES_SHOWN ? ", ..." : "");
}

static void print_file(const trm_info *in, const trm_info_set *set, const trm_store_file *file)
{
    enum { LABELS = 1024 };
    char rows[64] = "no rows", labels[LABELS] = "";
    const bool outside = file->ids_file != NULL;
    if (file->rows > 0)
        snprintf(rows, sizeof rows, "rows %" PRId64 " to %" PRId64, file->first - set->first,
                 file->first - set->first + file->rows - 1);
    if (in->labelled)
        snprintf(labels, sizeof labels, " labels '%s' %s%s%s%" PRId64 " %s;", file->labels,
                 file->labels_file == NULL ? "" : "of '", file->labels_file == NULL ? "" : file->labels_file,
                 file->labels_file == NULL ? "" : "' ", file->rows, file->labels_type);
    trm_say(stdout, "file        %s: %s; embeddings '%s' %" PRId64 " x %d %s;%s ids %s%s%s%s%s%s%s%s",
            file->path, rows, file->embeddings, file->rows, trm_store_dim(in->store), file->embeddings_type,
            labels, file->ids == NULL ? "none" : file->ids, outside ? " of '" : "",
            outside ? file->ids_file : "", outside ? "'" : "", file->ids == NULL ? "" : " ", file->ids_type,
            file->ids_left_aside == NULL ? "" : " left aside: ",
            file->ids_left_aside == NULL ? "" : file->ids_left_aside);
}

/* All of a few files, the ends of many; with -v all. */
static void print_files(const trm_info *in, const trm_info_set *set)
{
    enum { FEW = 20, BEGINNING = 10, END = 5 };
    int begin, end;
    trm_info_files(in, set, &begin, &end);
    const bool all = end - begin <= FEW || in->verbose;
    for (int i = begin; i < end; i++) {
        if (!all && i == begin + BEGINNING) {
            printf("            ... %d more files (-v lists all)\n", end - begin - BEGINNING - END);
            i = end - END;
        }
        print_file(in, set, trm_store_file_at(in->store, i));
    }
}

static void print_classes(const trm_info *in)
{
    char text[TRM_LABEL_TEXT];
    const trm_labels *labels = trm_store_labels(in->store);
    const trm_info_set *set = &in->base;
    if (!in->labelled && in->lacks_labels) {
        printf("labels      none, %s\n",
               in->settings->pairs != NULL
                   ? "and --pairs needs none"
                   : "which knn and radius don't need; mine, loss and eval do, or --queries and --pairs");
        return;
    }
    if (!in->labelled) {
        trm_say(stdout, "labels      left aside: %s", in->left_aside);
        return;
    }
    printf("classes     %" PRId64 " to %" PRId64 " rows, median %" PRId64 ", %" PRId64
           " with one row; largest:",
           set->classes[set->class_count - 1].rows, set->classes[0].rows,
           set->classes[set->class_count / 2].rows, in->singletons);
    for (int64_t i = 0; i < set->class_count && i < TRM_INFO_CLASSES_SHOWN; i++)
        printf(" %s (%" PRId64 ")", trm_labels_text(labels, set->classes[i].label, text),
               set->classes[i].rows);
    printf("%s\n", set->class_count > TRM_INFO_CLASSES_SHOWN ? " ..." : "");
    print_names(labels);
}

static void print_rows(const trm_info *in, const trm_info_set *set)
{
    printf("norms       %.6g to %.6g, mean %.6g; %" PRId64 " rows of norm zero\n", set->norm_min,
           set->norm_max, set->norm_mean, set->zero_norm);
    if (set->non_finite == 0) {
        printf("non-finite  none\n");
        return;
    }
    const int64_t row = set->first_non_finite;
    const trm_store_file *file = trm_file_of_row(in->store, row);
    trm_say(stdout,
            "non-finite  %" PRId64 " rows, as float32; the first is row %" PRId64 ", row %" PRId64
            " of '%s': mine will refuse %s",
            set->non_finite, row - set->first, row - file->first, file->path,
            set == &in->queries ? "these queries" : "this store");
}

static void print_queries(const trm_info *in)
{
    const trm_info_set *set = &in->queries;
    const trm_info_positives *p = &in->positives;
    int begin, end;
    if (!in_two_sets(in))
        return;
    trm_info_files(in, set, &begin, &end);
    printf("queries     %" PRId64 " rows x %d, %d file%s\n", set->total, trm_store_dim(in->store),
           end - begin, end - begin == 1 ? "" : "s");
    print_files(in, set);
    print_rows(in, set);
    if (in->settings->pairs != NULL)
        trm_say(stdout, "pairs       %" PRId64 " of '%s', %" PRId64 " of them repeated", p->pairs,
                in->settings->pairs, p->repeated);
    printf("positives   by %s: %" PRId64 " queries have one, %" PRId64 " have none; %" PRId64
           " have one but no negative\n",
           in->settings->pairs != NULL ? "pairs" : "label", p->with, p->without, p->all);
    if (in->settings->pairs != NULL)
        printf("            at most %" PRId64 " of a query; %" PRId64 " rows of the store are one\n", p->most,
               p->rows);
}

static trm_status print_people(const trm_info *in, trm_error *err)
{
    int begin, end;
    char classes[64] = "";
    trm_info_files(in, &in->base, &begin, &end);
    if (in->labelled)
        snprintf(classes, sizeof classes, " %" PRId64 " classes,", in->base.class_count);
    printf("store       %" PRId64 " rows x %d,%s %d file%s\n", in->base.total, trm_store_dim(in->store),
           classes, end, end == 1 ? "" : "s");
    print_files(in, &in->base);
    print_classes(in);
    print_rows(in, &in->base);
    print_queries(in);
    if (fflush(stdout) != 0 || ferror(stdout))
        return trm_fail(err, TRM_ERR_IO, "the report could not be written to standard output");
    return TRM_OK;
}

/* ---- all of it ---- */

static void warn(trm_info *in)
{
    char text[TRM_LABEL_TEXT];
    const trm_info_set *const sets[] = {&in->base, &in->queries};
    trm_warn_of_files(&in->voice, in->store);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        trm_warn_of_zero_rows(&in->voice, in->store, sets[i]->zero_norm, sets[i]->first_zero, sets[i]->total);
    if (in->labelled)
        trm_warn_of_class(&in->voice, in->base.classes[0].rows, in->base.total,
                          trm_labels_text(trm_store_labels(in->store), in->base.classes[0].label, text));
}

static int compare_sizes(const void *a, const void *b)
{
    const trm_info_class *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows > y->rows ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

/* Rank 0 tells. */
static trm_status tell(trm_info *in, const trm_cli *cli, trm_error *err)
{
    const trm_info_set *set = &in->base;
    for (int64_t i = 0; i < set->class_count; i++)
        in->singletons += set->classes[i].rows == 1;
    if (in->labelled)
        qsort(set->classes, (size_t)set->class_count, sizeof *set->classes, compare_sizes);
    warn(in);
    if (cli->json)
        return trm_report_print(trm_info_json(in), err);
    return cli->quiet ? TRM_OK : print_people(in, err);
}

static void forget(trm_info *in)
{
    trm_free(in->base.classes);
    trm_free(in->queries.classes);
    in->base.classes = in->queries.classes = NULL;
    trm_store_close(&in->store);
}

/* No labels are nothing wrong: many a store is for neighbours, or for pairs. */
static void look_for_labels(trm_info *in)
{
    if (!in->labelled || trm_store_file_at(in->store, 0)->labels != NULL)
        return;
    in->labelled = false;
    in->lacks_labels = true;
    snprintf(in->left_aside, sizeof in->left_aside, "no dataset for the labels, and no file of them");
}

/* Opens the files of both sets as one store, as a job does, and looks at their rows. */
static trm_status look(trm_info *in, const trm_cli *cli, trm_error *err)
{
    const trm_option_texts *queries = &in->settings->queries;
    const int files = cli->inputs + queries->count;
    const char **input = trm_alloc(files, sizeof *input);
    trm_store_options options = in->settings->store;
    options.queries = queries->count;
    options.unlabelled = !in->labelled;
    options.labels_may_lack = in->settings->pairs != NULL || !in_two_sets(in); /* else they are the matter */
    trm_status status =
        input == NULL ? trm_fail_memory(err, "the list of inputs", files, sizeof *input) : TRM_OK;
    status = trm_agree(in->comm, status, err);
    for (int i = 0; i < files && status == TRM_OK; i++)
        input[i] = i < cli->inputs ? cli->input[i] : queries->text[i - cli->inputs];
    if (status == TRM_OK)
        status = trm_store_open(in->comm, files, input, &options, &in->store, err);
    trm_free(input);
    if (status != TRM_OK)
        return status;
    look_for_labels(in);
    const int64_t base = trm_store_base_rows(in->store);
    status = trm_info_look(in->comm, in->store, in->labelled, 0, base, &in->base, err);
    if (status == TRM_OK && in_two_sets(in))
        status = trm_info_look(in->comm, in->store, in->labelled, base, trm_store_rows(in->store) - base,
                               &in->queries, err);
    return status;
}

/* Pairs need no labels: where these are of no use, it is looked without them. */
static trm_status look_by_pairs(trm_info *in, const trm_cli *cli, trm_error *err)
{
    trm_error why = TRM_ERROR_INIT;
    trm_status status = look(in, cli, &why);
    if (status == TRM_ERR_DATA) {
        forget(in);
        in->labelled = false;
        memcpy(in->left_aside, why.text, sizeof in->left_aside);
        return look(in, cli, err);
    }
    if (status != TRM_OK)
        *err = why;
    return status;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    const trm_settings *settings = cli->settings;
    trm_info in = {.comm = MPI_COMM_WORLD,
                   .rank = trm_rank_of(MPI_COMM_WORLD),
                   .verbose = cli->verbose > 0,
                   .voice = trm_cli_voice(cli),
                   .settings = settings,
                   .labelled = true};
    trm_status status = settings->pairs != NULL ? look_by_pairs(&in, cli, err) : look(&in, cli, err);
    if (status == TRM_OK && settings->pairs != NULL)
        status = trm_info_by_pairs(in.comm, settings->pairs, &in.base, &in.queries, &in.positives, err);
    else if (status == TRM_OK && in.rank == 0 && in_two_sets(&in))
        in.positives = trm_info_by_label(&in.base, &in.queries);
    if (status == TRM_OK)
        status = trm_agree(in.comm, in.rank == 0 ? tell(&in, cli, err) : TRM_OK, err);
    forget(&in);
    trm_voice_free(&in.voice);
    return status;
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    return trm_settings_check_pairs(cli->settings, err);
}

static const trm_taken shared[] = {TRM_TAKE(trm_queries_table), TRM_TAKE(trm_dataset_table)};
static const trm_taken own[] = {TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_info = {
    .name = "info",
    .arguments = "STORE...",
    .about = "Says what is recognised in a store, and with --queries in two sets.",
    .settings = &shared_takes,
    .own = &own_takes,
    .traits = TRM_TAKES_STORES,
    .check = check,
    .run = run,
};
