# Ranks by the definitions of challengeR and P values of a comparison, made by R alone (base and jsonlite):
#   Rscript make_challenge.R          (in this folder)
# Input: scores.csv (model, patient_id, image_id, value). Output: challenge.json.
suppressMessages(library(jsonlite))
scores <- read.csv("scores.csv", colClasses = c(patient_id = "character", image_id = "character"))
wide <- reshape(scores, idvar = c("patient_id", "image_id"), timevar = "model", direction = "wide")
names(wide) <- sub("^value\\.", "", names(wide))
networks <- sort(unique(scores$model))
values <- as.matrix(wide[networks])

aggregate_score <- colMeans(values)
each <- t(apply(-round(values, 12), 1, rank, ties.method = "min"))
rank_score <- colMeans(each)
one_sided <- sapply(networks, function(b) sapply(networks, function(a) {
  if (a == b) return(NA)
  wilcox.test(round(values[, a] - values[, b], 12), alternative = "greater", exact = FALSE)$p.value
}))
wins <- rowSums(one_sided <= 0.05, na.rm = TRUE) / (length(networks) - 1)
ranked <- function(x) as.list(setNames(rank(round(x, 12), ties.method = "min"), networks))

# two-sided tests of the first network against each other one, over images and over patients' means
patient <- aggregate(wide[networks], list(patient_id = wide$patient_id), mean)
paired <- function(table, other) {
  d <- round(table[[networks[1]]] - table[[other]], 12)
  list(t_p = t.test(d)$p.value, wilcoxon_p = wilcox.test(d)$p.value)
}
others <- networks[-1]
over <- function(table) {
  found <- sapply(others, function(m) paired(table, m), simplify = FALSE)
  p <- sapply(found, function(x) x$t_p)
  list(each = found, holm = as.list(setNames(p.adjust(p, "holm"), others)))
}
out <- list(
  aggregate = list(score = as.list(aggregate_score), rank = ranked(-aggregate_score)),
  rank = list(score = as.list(rank_score), rank = ranked(rank_score)),
  test = list(score = as.list(wins), rank = ranked(-wins)),
  better = lapply(split(one_sided, row(one_sided)), as.numeric),
  networks = networks, images = over(wide), patients = over(patient), version = R.version.string)
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE, na = "null"), "challenge.json")
