/* What trimine info tells, as JSON; see info.h. */
#include "cli/info.h"

#include "base/json.h"
#include "store/labels.h"

void trm_info_files(const trm_info *in, const trm_info_set *set, int *begin, int *end)
{
    const int files = trm_store_file_count(in->store);
    int base = 0;
    while (base < files && !trm_store_file_at(in->store, base)->queries)
        base++;
    *begin = set == &in->queries ? base : 0;
    *end = set == &in->queries ? files : base;
}

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
    if (file->ids_file != NULL)
        trm_json_put(&ids, "file", trm_json_text(file->ids_file));
    trm_json_put(&ids, "left_aside", used ? json_null() : trm_json_text(file->ids_left_aside));
    return ids;
}

/* Row ids count from 0 in each set. */
static json_t *file_json(const trm_info *in, const trm_info_set *set, const trm_store_file *file)
{
    const json_int_t rows = file->rows;
    json_t *labels =
        in->labelled ? dataset_json(file->labels, file->labels_type, json_pack("[I]", rows)) : json_null();
    if (in->labelled && file->labels_file != NULL)
        trm_json_put(&labels, "file", trm_json_text(file->labels_file));
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "path", trm_json_text(file->path), "rows", rows,
                     "first_row", (json_int_t)(file->first - set->first), "embeddings",
                     dataset_json(file->embeddings, file->embeddings_type,
                                  json_pack("[I, i]", rows, trm_store_dim(in->store))),
                     "labels", labels, "ids", ids_json(file));
}

static json_t *files_json(const trm_info *in, const trm_info_set *set)
{
    int begin, end;
    json_t *files = json_array();
    trm_info_files(in, set, &begin, &end);
    for (int i = begin; i < end; i++)
        trm_json_append(&files, file_json(in, set, trm_store_file_at(in->store, i)));
    return files;
}

static json_t *non_finite_json(const trm_info *in, const trm_info_set *set)
{
    const int64_t row = set->first_non_finite;
    if (set->non_finite == 0)
        return json_null();
    const trm_store_file *file = trm_file_of_row(in->store, row);
    return json_pack("{s:I, s:o, s:I}", "row", (json_int_t)(row - set->first), "path",
                     trm_json_text(file->path), "row_in_file", (json_int_t)(row - file->first));
}

/* JSON's integers end at 2^63 - 1: a label beyond them is text. */
static json_t *class_json(const trm_info *in, const trm_info_class *class)
{
    char text[TRM_LABEL_TEXT];
    const trm_labels *labels = trm_store_labels(in->store);
    const bool large = labels->kind == TRM_LABELS_UNSIGNED && class->label < 0;
    json_t *about = json_pack("{s:o, s:I}", "label",
                              large ? json_string(trm_labels_text(labels, class->label, text))
                                    : json_integer(class->label),
                              "rows", (json_int_t) class->rows);
    if (labels->kind == TRM_LABELS_NAMED)
        trm_json_put(&about, "name", trm_json_text(trm_names_get(&labels->names, class->label, NULL)));
    return about;
}

/* The names that labels stand for, in their order; null where they are numbers. */
static json_t *names_json(const trm_info *in)
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

static json_t *classes_json(const trm_info *in)
{
    const trm_info_set *set = &in->base;
    json_t *largest = json_array();
    for (int64_t i = 0; i < set->class_count && i < TRM_INFO_CLASSES_SHOWN; i++)
        trm_json_append(&largest, class_json(in, &set->classes[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "count", (json_int_t)set->class_count, "smallest",
                     (json_int_t)set->classes[set->class_count - 1].rows, "median",
                     (json_int_t)set->classes[set->class_count / 2].rows, "largest",
                     (json_int_t)set->classes[0].rows, "singletons", (json_int_t)in->singletons, "top",
                     largest);
}

/* What is told of the rows of both sets. */
static json_t *rows_json(const trm_info *in, const trm_info_set *set)
{
    return json_pack("{s:{s:f, s:f, s:f}, s:I, s:o, s:I}", "norms", "min", set->norm_min, "mean",
                     set->norm_mean, "max", set->norm_max, "non_finite_rows", (json_int_t)set->non_finite,
                     "first_non_finite", non_finite_json(in, set), "zero_norm_rows",
                     (json_int_t)set->zero_norm);
}

static json_t *positives_json(const trm_info *in)
{
    const trm_info_positives *p = &in->positives;
    json_t *positives = json_pack(
        "{s:s, s:I, s:I, s:I}", "by", in->settings->pairs != NULL ? "pairs" : "label", "with_positive",
        (json_int_t)p->with, "no_positive", (json_int_t)p->without, "no_negative", (json_int_t)p->all);
    if (in->settings->pairs != NULL)
        trm_json_put_all(&positives, json_pack("{s:I, s:I}", "most_positives", (json_int_t)p->most,
                                               "positive_rows", (json_int_t)p->rows));
    return positives;
}

static void put_queries(const trm_info *in, json_t **info)
{
    const trm_info_set *set = &in->queries;
    if (!trm_settings_in_two_sets(in->settings))
        return;
    json_t *queries = json_pack("{s:I, s:i, s:o}", "rows", (json_int_t)set->total, "dim",
                                trm_store_dim(in->store), "files", files_json(in, set));
    trm_json_put_all(&queries, rows_json(in, set));
    trm_json_put(&queries, "positives", positives_json(in));
    trm_json_put(info, "queries", queries);
    if (in->settings->pairs == NULL)
        return;
    trm_json_put(info, "pairs",
                 json_pack("{s:I, s:I, s:o}", "count", (json_int_t)in->positives.pairs, "repeated",
                           (json_int_t)in->positives.repeated, "file", trm_json_text(in->settings->pairs)));
    trm_json_put(info, "labels_left_aside", in->labelled ? json_null() : trm_json_text(in->left_aside));
}

json_t *trm_info_json(const trm_info *in)
{
    json_t *info = json_pack("{s:s, s:s, s:s, s:{s:I, s:i, s:o}, s:o, s:o, s:o}", "program", "trimine",
                             "version", trm_version(), "command", "info", "store", "rows",
                             (json_int_t)in->base.total, "dim", trm_store_dim(in->store), "classes",
                             in->labelled ? json_integer(in->base.class_count) : json_null(), "files",
                             files_json(in, &in->base), "classes",
                             in->labelled ? classes_json(in) : json_null(), "label_names", names_json(in));
    trm_json_put_all(&info, rows_json(in, &in->base));
    put_queries(in, &info);
    trm_json_put(&info, "warnings", trm_voice_warnings(&in->voice));
    return info;
}
