# Reference values of the statistics, made by R and stored beside this file, so that the tests need no R.
#   Rscript make_reference.R          (in this folder; needs lme4, lmerTest, emmeans, jsonlite)
# Input: scores.csv, one row a network and image (model, patient_id, image_id, value), made by make_scores.py.
# Output: reference.json with every value and the versions of R and its packages.
suppressMessages({
  library(lme4)
  library(lmerTest)
  library(emmeans)
  library(jsonlite)
})
out <- list()

# Table 1: Student's t and Pearson's chi-square without continuity correction, SMD by hand
age <- list(train = c(49, 61, 38, 55, 47, 52, 66, 41, 58, 50, 44, 63), test = c(57, 48, 62, 51, 45, 59, 68, 40))
tt <- t.test(age$train, age$test, var.equal = TRUE)
sex <- matrix(c(38, 30, 13, 9), 2, byrow = TRUE)
ct <- chisq.test(sex, correct = FALSE)
out$table1 <- list(train = age$train, test = age$test, t = unname(tt$statistic), df = unname(tt$parameter),
  p = tt$p.value, sex = sex, chi2 = unname(ct$statistic), chi2_p = ct$p.value, fisher_p = fisher.test(sex)$p.value)

scores <- read.csv("scores.csv", colClasses = c(patient_id = "character", image_id = "character"))
scores$model <- factor(scores$model)
networks <- levels(scores$model)
wide <- reshape(scores, idvar = c("patient_id", "image_id"), timevar = "model", direction = "wide")
names(wide) <- sub("^value\\.", "", names(wide))
headline <- "a"
patient <- aggregate(wide[networks], list(patient_id = wide$patient_id), mean)

# paired tests over images and over patients
paired <- function(table, other) {
  d <- table[[headline]] - table[[other]]
  test <- t.test(d)
  rank <- wilcox.test(d)
  list(difference = unname(test$estimate), t = unname(test$statistic), df = unname(test$parameter), p = test$p.value,
    low = test$conf.int[1], high = test$conf.int[2], wilcoxon = unname(rank$statistic), wilcoxon_p = rank$p.value,
    shapiro_w = unname(shapiro.test(d)$statistic), shapiro_p = shapiro.test(d)$p.value)
}
others <- setdiff(networks, headline)
out$images <- sapply(others, function(m) paired(wide, m), simplify = FALSE)
out$patients <- sapply(others, function(m) paired(patient, m), simplify = FALSE)

# one-way ANOVA and Tukey's HSD over images, networks as independent groups (the paper's)
one <- aov(value ~ model, scores)
table <- summary(one)[[1]]
hsd <- TukeyHSD(one)$model
out$anova <- list(f = table[1, "F value"], df1 = table[1, "Df"], df2 = table[2, "Df"], p = table[1, "Pr(>F)"])
out$tukey <- lapply(seq_len(nrow(hsd)), function(i) {
  list(pair = rownames(hsd)[i], difference = hsd[i, "diff"], low = hsd[i, "lwr"], high = hsd[i, "upr"],
    p = hsd[i, "p adj"])
})

# repeated measures over patients: ANOVA, Greenhouse-Geisser, Friedman
long <- reshape(patient, varying = networks, v.names = "value", timevar = "model", times = networks, direction = "long")
long$model <- factor(long$model)
long$patient_id <- factor(long$patient_id)
rm <- summary(aov(value ~ model + Error(patient_id / model), long))[["Error: patient_id:model"]][[1]]
fit <- lm(as.matrix(patient[networks]) ~ 1)
mauchly <- anova(fit, X = ~1, test = "Spherical")
friedman <- friedman.test(as.matrix(patient[networks]))
out$repeated <- list(f = rm[1, "F value"], df1 = rm[1, "Df"], df2 = rm[2, "Df"], p = rm[1, "Pr(>F)"],
  epsilon = as.numeric(sub(".*epsilon: *", "", grep("Greenhouse", attr(mauchly, "heading"), value = TRUE))),
  p_gg = mauchly[1, "G-G Pr"], friedman = unname(friedman$statistic), friedman_p = friedman$p.value)

# multiplicity
p <- c(0.01, 0.04, 0.03, 0.005, 0.2)
out$adjust <- list(p = p, holm = p.adjust(p, "holm"), fdr = p.adjust(p, "BH"))

# mixed models
control <- lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-12))
one_of <- function(m) {
  d <- data.frame(d = wide[[headline]] - wide[[m]], patient_id = wide$patient_id)
  fit <- lmer(d ~ 1 + (1 | patient_id), d, control = control)
  row <- coef(summary(fit))
  v <- as.data.frame(VarCorr(fit))$vcov
  list(difference = row[1, "Estimate"], se = row[1, "Std. Error"], satterthwaite_df = row[1, "df"],
    between = v[1], residual = v[2])
}
out$mixed <- sapply(others, one_of, simplify = FALSE)
full <- lmer(value ~ model + (1 | patient_id) + (1 | patient_id:model) + (1 | image_id), scores, control = control)
v <- as.data.frame(VarCorr(full))
contrasts <- as.data.frame(contrast(emmeans(full, "model", lmer.df = "satterthwaite"), "trt.vs.ctrl", ref = headline))
out$mixed_all <- list(between = v$vcov[v$grp == "patient_id:model"], residual = v$vcov[v$grp == "Residual"],
  contrast = contrasts$contrast, estimate = contrasts$estimate, se = contrasts$SE, df = contrasts$df)

version <- function(p) as.character(packageVersion(p))
out$versions <- list(R = R.version.string, lme4 = version("lme4"), lmerTest = version("lmerTest"),
  emmeans = version("emmeans"), jsonlite = version("jsonlite"))
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), "reference.json")
