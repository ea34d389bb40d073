locals {
  # of the resource that makes the CA usable, not of the CA: nothing may ask a CA without a certificate
  certificate_authority_arn = aws_acmpca_certificate_authority_certificate.mesh.certificate_authority_arn
}

module "istio_pca" {
  source  = "aws-ia/eks-blueprints-addon/aws"
  version = "~> 1.3" # with helm provider 2.x: ~> 1.1.1

  name             = "istio-pca"
  chart            = "istio-pca"
  repository       = "oci://ghcr.io/istio-pca/charts"
  chart_version    = "0.1.0"
  namespace        = "istio-system"
  create_namespace = true
  timeout          = 300 # job.installerTimeoutSeconds
  values           = [yamlencode(local.istio_pca_values)]
  # never disable_webhooks: it means Helm's hooks, and the Job is one

  create_role          = true
  role_name            = local.role_name
  role_name_use_prefix = false
  policy_statements    = local.policy_statements
  set_irsa_names       = ["serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn"]
  oidc_providers = {
    for account in local.service_accounts : account => {
      provider_arn    = var.oidc_provider_arn
      namespace       = "istio-system"
      service_account = account
    }
  }
}

resource "helm_release" "istio_base" {
  name       = "istio-base"
  repository = "https://istio-release.storage.googleapis.com/charts"
  chart      = "base"
  version    = "1.31.0"
  namespace  = "istio-system"
  depends_on = [module.istio_pca]
}

resource "helm_release" "istiod" {
  name       = "istiod"
  repository = "https://istio-release.storage.googleapis.com/charts"
  chart      = "istiod"
  version    = "1.31.0"
  namespace  = "istio-system"
  values     = [yamlencode(local.istiod_values)]
  depends_on = [helm_release.istio_base]
}
