# What the charts are given. Only names and ARNs come from elsewhere.
locals {
  role_name        = "istio-pca-${var.cluster_name}"
  service_accounts = ["istio-pca", "istio-pca-renewal"]

  istio_pca_values = {
    config = {
      certificateAuthorityArn = local.certificate_authority_arn
      clusterName             = var.cluster_name
    }
  }

  # istiod cannot start before cacerts is there, whoever installs it
  istiod_values = {
    volumes = [{
      name   = "cacerts-required"
      secret = { secretName = "cacerts" }
    }]
    volumeMounts = [{
      name      = "cacerts-required"
      mountPath = "/etc/cacerts-required"
      readOnly  = true
    }]
    env = { ROOT_CA_DIR = "/etc/cacerts-required" }
  }

  # the least policy: one template of one CA; `istio-pca policy` prints it for other configs
  policy_statements = [
    {
      actions   = ["acm-pca:IssueCertificate"]
      resources = [local.certificate_authority_arn]
      conditions = [{
        test     = "StringEquals"
        variable = "acm-pca:TemplateArn"
        values   = ["arn:${split(":", local.certificate_authority_arn)[1]}:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"]
      }]
    },
    {
      actions = [
        "acm-pca:DescribeCertificateAuthority",
        "acm-pca:GetCertificate",
        "acm-pca:GetCertificateAuthorityCertificate",
      ]
      resources = [local.certificate_authority_arn]
    },
  ]
}
